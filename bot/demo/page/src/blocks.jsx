// Blocks as slack-blocks-to-jsx draws them; what it would skip in silence gets a red box.
import { Message } from 'slack-blocks-to-jsx'
import { useContext } from 'react'
import { World } from './world.js'

const DRAWN = new Set([
  'actions', 'alert', 'card', 'carousel', 'container', 'context', 'context_actions', 'divider', 'file', 'header', 'image',
  'input', 'markdown', 'plan', 'rich_text', 'section', 'table', 'task_card', 'video',
])

export function Blocks({ blocks, text }) {
  const { data } = useContext(World)
  const shown = blocks?.length ? blocks : [{ type: 'section', block_id: 'text', text: { type: 'mrkdwn', text: text || ' ' } }]
  const unknown = shown.filter((block) => !DRAWN.has(block.type))
  return (
    <>
      {unknown.map((block, number) => (
        <div className="unknown" key={number}>This page cannot draw a block of type “{block.type}”.</div>
      ))}
      <Message blocks={shown.filter((block) => DRAWN.has(block.type))} data={data} hooks={HOOKS} logo="" name="" theme="light" withoutWrapper />
    </>
  )
}

const HOOKS = {
  date: ({ timestamp, fallback }) => {
    const at = new Date(Number(timestamp) * 1000)
    return <time title={fallback}>{Number.isNaN(at.getTime()) ? fallback : clock(at)}</time>
  },
}

export function clock(at) {
  return at.toLocaleTimeString([], { hour: '2-digit', minute: '2-digit', second: '2-digit', hour12: false })
}

// The button's element and its block's id, from the click's target inside a drawn message.
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
