// Where people write: /incident goes out as a slash command, everything else as a message.
import { useContext, useState } from 'react'
import { sent } from './text.js'
import { World } from './world.js'

const COMMAND = '/incident'

export function Composer({ channel, threadTs = '', label }) {
  const { me, state, perform, complain } = useContext(World)
  const [text, setText] = useState('')
  const send = async () => {
    const typed = text.trim()
    if (!typed) return
    const [, word, rest] = typed.match(/^(\S+)\s*([^]*)$/)
    const isSlash = /^\/[a-z]/i.test(word) && !word.slice(1).includes('/')
    if (isSlash && threadTs) {
      complain(`${word} is not supported in threads.`)
    } else if (isSlash && word !== COMMAND) {
      complain(`${word} is not a command here; there is ${COMMAND}.`)
    } else {
      setText('')
      const problem = isSlash
        ? await perform('command', { user: me, channel, command: word, text: rest })
        : await perform('say', { user: me, channel, text: sent(typed, state), thread_ts: threadTs })
      if (problem) setText((now) => now || typed)
    }
  }
  const onSubmit = (event) => {
    event.preventDefault()
    send()
  }
  const onKeyDown = (event) => {
    if (event.key !== 'Enter' || event.shiftKey || event.nativeEvent.isComposing) return
    event.preventDefault()
    send()
  }
  return (
    <form className="composer" onSubmit={onSubmit}>
      <textarea rows="1" aria-label={label} placeholder={label} value={text} onChange={(event) => setText(event.target.value)} onKeyDown={onKeyDown} />
      <button type="submit" disabled={!text.trim()} aria-label="Send">➤</button>
    </form>
  )
}
