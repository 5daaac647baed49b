// Where people write: /incident goes out as a slash command, everything else as a message.
import { useContext, useState } from 'react'
import { World } from './world.js'

export function Composer({ channel, threadTs, label }) {
  const { me, app, perform } = useContext(World)
  const [text, setText] = useState('')
  const send = async (event) => {
    event.preventDefault()
    const typed = text.trim()
    if (!typed) return
    setText('')
    const [word, ...rest] = typed.split(/\s+/)
    const problem = word.startsWith('/') && !threadTs
      ? await perform('command', { user: me, channel, command: word, text: rest.join(' ') })
      : await perform('say', { user: me, channel, text: typed.replace(/^@incident[- ]?resolver\b/i, `<@${app.user_id}>`), thread_ts: threadTs || '' })
    if (problem) setText(typed)
  }
  return (
    <form className="composer" onSubmit={send}>
      <input aria-label={label} placeholder={label} value={text} onChange={(event) => setText(event.target.value)} autoComplete="off" />
      <button type="submit" disabled={!text.trim()} aria-label="Send">➤</button>
    </form>
  )
}
