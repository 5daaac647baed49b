// Blocks as slack-blocks-to-jsx draws them; controls are ours, and what nobody would draw gets a red box.
import { Message } from 'slack-blocks-to-jsx'
import { Component, useContext, useSyncExternalStore } from 'react'
import { Control, isControl } from './controls.jsx'
import { dated, readable } from './text.js'
import { World } from './world.js'

const DRAWN = new Set([
  'actions', 'alert', 'card', 'carousel', 'container', 'context', 'context_actions', 'divider', 'file', 'header', 'image',
  'input', 'markdown', 'plan', 'rich_text', 'section', 'table', 'task_card', 'video',
])
const HOOKS = { date: (token) => <time title={token.fallback}>{dated(token)}</time> }

// `onControl({block_id, element}, value)` hears of selects and pickers; buttons are caught by their click (`pressed`).
export function Blocks({ blocks, text, onControl }) {
  const shown = blocks?.length ? blocks : [{ type: 'section', block_id: 'text', text: { type: 'mrkdwn', text: text || ' ' } }]
  return runs(shown).map((run, number) => (
    <Guard key={`${number}-${run[0].block_id}`} kind={run[0].type}>
      <Run run={run} onControl={onControl} />
    </Guard>
  ))
}

function Run({ run, onControl }) {
  const { data } = useContext(World)
  const theme = useTheme()
  const [block] = run
  if (!DRAWN.has(block.type)) return <Undrawn kind={block.type} />
  if (block.type === 'actions' && hasControls(block)) return <Actions block={block} onControl={onControl} />
  if (hasControls(block)) {
    const { accessory, ...rest } = block
    return <div className="beside"><Run run={[rest]} /><Used block={block} element={accessory} onControl={onControl} /></div>
  }
  return <Message blocks={readable(run)} data={data} hooks={HOOKS} logo="" name="" theme={theme} withoutWrapper />
}

const DARK = matchMedia('(prefers-color-scheme: dark)')

function useTheme() {
  return useSyncExternalStore((onChange) => {
    DARK.addEventListener('change', onChange)
    return () => DARK.removeEventListener('change', onChange)
  }, () => (DARK.matches ? 'dark' : 'light'))
}

// Blocks that the library draws are handed to it together, the others one by one, all in their order.
function runs(blocks) {
  const found = []
  for (const block of blocks) {
    const last = found.at(-1)
    if (last && isPlain(block) && isPlain(last[0])) last.push(block)
    else found.push([block])
  }
  return found
}

function isPlain(block) {
  return DRAWN.has(block.type) && !hasControls(block)
}

function hasControls(block) {
  return block.type === 'actions' ? block.elements.some(isControl) : block.type === 'section' && isControl(block.accessory)
}

function Actions({ block, onControl }) {
  return (
    <div className="actions" id={block.block_id}>
      {block.elements.map((one) => one.type === 'button'
        ? <button key={one.action_id} type="button" id={one.action_id} className={one.style || ''} aria-label={one.accessibility_label}>{one.text.text}</button>
        : <Used key={one.action_id} block={block} element={one} onControl={onControl} />)}
    </div>
  )
}

function Used({ block, element, onControl }) {
  if (!isControl(element)) return <Undrawn kind={element.type} />
  return <Control element={element} id={element.action_id} label={element.placeholder?.text || element.action_id} onValue={(value) => value !== '' && onControl?.({ block_id: block.block_id, element }, value)} />
}

function Undrawn({ kind }) {
  return <div className="unknown">This page cannot draw “{kind}”.</div>
}

class Guard extends Component {
  state = { hasFailed: false }

  static getDerivedStateFromError() {
    return { hasFailed: true }
  }

  render() {
    return this.state.hasFailed ? <Undrawn kind={this.props.kind} /> : this.props.children
  }
}

// The button's element and its block's id, from a click's target inside drawn blocks.
export function pressed(target, blocks) {
  const button = target.closest('button[id]')
  if (!button) return null
  for (let node = button.parentElement; node; node = node.parentElement) {
    const block = blocks.find((one) => one.block_id === node.id)
    if (block) return found(block, button.id)
  }
  return null
}

function found(block, actionId) {
  const waiting = [block]
  while (waiting.length) {
    const node = waiting.shift()
    if (node && typeof node === 'object') {
      if (node.action_id === actionId && node.type === 'button') return { block_id: block.block_id, element: node }
      waiting.push(...Object.values(node))
    }
  }
  return null
}
