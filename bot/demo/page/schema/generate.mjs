// Prints the JSON Schema (draft-07) of Slack's blocks: the shapes from the types of @slack/types, the limits from the
// sentences of their doc comments. Run after `npm ci --ignore-scripts`: node schema/generate.mjs > ../slack/blocks.schema.json
import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { createGenerator } from "ts-json-schema-generator";

const here = dirname(fileURLToPath(import.meta.url));
const types = createRequire(import.meta.url).resolve("@slack/types").replace(/dist[\\/]index\.js$/, "");
const { version } = JSON.parse(readFileSync(join(types, "package.json"), "utf8"));

const schema = createGenerator({
  path: join(here, "entry.ts"),
  tsconfig: join(here, "tsconfig.json"),
  type: "*",
  additionalProperties: false,
  skipTypeCheck: true,
}).createSchema("*");

const TEXT_OBJECTS = new Set(["PlainTextElement", "MrkdwnElement", "TextObject"].map((name) => `#/definitions/${name}`));
const LENGTHS = [
  /max(?:imum)?(?: length)?[^.]*?([\d,]+)[ -]characters?/i,
  /limited to ([\d,]+) characters/i,
  /([\d,]+) characters? max/i,
];
const COUNT_OF = "(?:elements|items|options|option groups|option_groups|cards|blocks|columns|rows|fields|tasks|buttons|cells|objects|number of options)";
const COUNTS = [
  new RegExp(`max(?:imum)?(?: number)?[^.]*?\\b(\\d+) (?:[\`\\w]+ )?${COUNT_OF}`, "i"),
  /maximum number of (?:options|items|elements|option groups)(?: allowed)? is (\d+)/i,
  /up to (\d+) (?:elements|items|blocks|options)/i,
];
const LEAST = /minimum (?:of )?(\d+)/i;
let limits = 0;

function first(patterns, sentence) {
  for (const pattern of patterns) {
    const found = pattern.exec(sentence);
    if (found) return Number(found[1].replaceAll(",", ""));
  }
  return undefined;
}

function limited(name, property) {
  const words = (property.description ?? "").replaceAll(/\{@link [^\s}]+ ?([^}]*)\}/g, "$1").replaceAll(/\s+/g, " ");
  const isText = TEXT_OBJECTS.has(property.$ref) || property.anyOf?.every((one) => TEXT_OBJECTS.has(one.$ref));
  const isList = property.type === "array";
  const longest = first(LENGTHS, words);
  const most = isList ? first(COUNTS, words) : undefined;
  if (isText) {
    const text = { minLength: 1, ...(longest && { maxLength: longest }) };
    const { description, ...shape } = property;
    limits += longest ? 1 : 0;
    return { ...(description && { description }), allOf: [shape, { properties: { text } }] };
  }
  if (property.type === "string" && longest && !property.enum && !property.const) {
    limits += 1;
    // Slack takes 150 characters for an option's value; the comment still says 75.
    return { ...property, maxLength: name === "value" && longest === 75 ? 150 : longest };
  }
  if (isList) {
    const limit = { ...property };
    if (most) {
      limits += 1;
      limit.maxItems = most;
    }
    const least = LEAST.exec(words);
    if (least && most) limit.minItems = Number(least[1]);
    if (longest && TEXT_OBJECTS.has(property.items?.$ref ?? "")) {
      limits += 1;
      limit.items = { allOf: [property.items, { properties: { text: { minLength: 1, maxLength: longest } } }] };
    }
    return limit;
  }
  return property;
}

function walk(node) {
  if (Array.isArray(node)) return node.map(walk);
  if (node === null || typeof node !== "object") return node;
  const out = {};
  for (const [key, value] of Object.entries(node)) {
    if (key !== "properties") {
      out[key] = walk(value);
      continue;
    }
    out[key] = Object.fromEntries(Object.entries(value).map(([name, property]) => [name, limited(name, walk(property))]));
  }
  return out;
}

function withoutWords(node) {
  if (Array.isArray(node)) return node.map(withoutWords);
  if (node === null || typeof node !== "object") return node;
  const isProse = (key, value) => (key === "description" || key === "deprecated" || key === "$comment") && typeof value !== "object";
  return Object.fromEntries(
    Object.entries(node)
      .filter(([key, value]) => !isProse(key, value))
      .map(([key, value]) => [key, withoutWords(value)]),
  );
}

const definitions = withoutWords(walk(schema.definitions));
process.stdout.write(
  `${JSON.stringify({ $schema: schema.$schema, $comment: `@slack/types ${version}; ${limits} limits read from its doc comments`, definitions }, null, 1)}\n`,
);
