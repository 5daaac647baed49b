// What the block checker must know; everything they refer to comes along.
import type { AnyChunk, KnownBlock, MessageMetadata, ModalView } from "@slack/types";

export type CheckedBlock = KnownBlock;
export type CheckedModal = ModalView;
export type CheckedMetadata = MessageMetadata;
export type CheckedChunk = AnyChunk;
