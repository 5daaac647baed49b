// A message, a list of them, and the thread beside the channel.
import { useContext, useEffect, useLayoutEffect, useRef, useState } from 'react'
import { Blocks, clock, pressed } from './blocks.jsx'
import { Confirm } from './confirm.jsx'
import { World } from './world.js'

export function MessageRow({ message, onThread, isOpen }) {
  const { me, people, app, perform } = useContext(World)
  const [waiting, setWaiting] = useState(false)
  const [asked, setAsked] = useState(null)
  const isApp = message.user === app.user_id
  const person = people[message.user]
  const name = isApp ? app.name : person?.real_name || person?.name || message.user

  const deliver = async ({ block_id, element }) => {
    setAsked(null)
    setWaiting(true)
    await perform('click', { user: me, ts: message.ts, action_id: element.action_id, block_id })
    setWaiting(false)
  }
  const onClick = (event) => {
    const hit = pressed(event.target, message.blocks || [])
    if (!hit || waiting) return
    event.preventDefault()
    event.stopPropagation()
    if (hit.element.confirm) setAsked(hit)
    else deliver(hit)
  }
  return (
    <article className={`message${message.is_ephemeral ? ' ephemeral' : ''}${isOpen ? ' open' : ''}`} data-ts={message.ts}>
      <Avatar name={name} isApp={isApp} id={message.user} />
      <div className="body">
        <div className="byline">
          <b>{name}</b>
          {isApp && <span className="badge">APP</span>}
          <time>{clock(new Date(Number(message.ts) * 1000))}</time>
          {message.is_ephemeral && <span className="note">👁 Only visible to you</span>}
        </div>
        <div className={waiting ? 'content waiting' : 'content'} onClickCapture={onClick} aria-busy={waiting}>
          <Blocks blocks={message.blocks} text={message.text} />
          {message.edited && !message.blocks?.length && <span className="note"> (edited)</span>}
          {message.is_broken && <div className="unknown">This stream was cut off.</div>}
        </div>
        {onThread && message.reply_count > 0 && (
          <button className="replies" type="button" onClick={() => onThread(message.ts)}>
            {message.reply_count} {message.reply_count === 1 ? 'reply' : 'replies'} <span>View thread</span>
          </button>
        )}
      </div>
      {asked && <Confirm confirm={asked.element.confirm} style={asked.element.style} onYes={() => deliver(asked)} onNo={() => setAsked(null)} />}
    </article>
  )
}

function Avatar({ name, isApp, id }) {
  if (isApp) return <div className="avatar app" aria-hidden="true">🛟</div>
  const hue = [...id].reduce((sum, letter) => (sum * 31 + letter.charCodeAt(0)) % 360, 7)
  return <div className="avatar" style={{ background: `hsl(${hue} 45% 42%)` }} aria-hidden="true">{name[0].toUpperCase()}</div>
}

// Stays at the newest message unless the reader has scrolled up.
export function Scroller({ children, mark, className }) {
  const box = useRef(null)
  const isAtEnd = useRef(true)
  useLayoutEffect(() => {
    if (box.current && isAtEnd.current) box.current.scrollTop = box.current.scrollHeight
  }, [mark])
  useEffect(() => {
    const one = box.current
    const observer = new ResizeObserver(() => isAtEnd.current && (one.scrollTop = one.scrollHeight))
    for (const child of one.children) observer.observe(child)
    return () => observer.disconnect()
  }, [])
  const onScroll = ({ target }) => {
    isAtEnd.current = target.scrollHeight - target.scrollTop - target.clientHeight < 60
  }
  return <div className={className} ref={box} onScroll={onScroll}><div>{children}</div></div>
}

export function Thread({ root, replies, onClose, children }) {
  return (
    <aside className="thread" data-thread={root.ts} aria-label="Thread">
      <header>
        <h2>Thread</h2>
        <button type="button" className="plain" onClick={onClose} aria-label="Close the thread">✕</button>
      </header>
      <Scroller className="list" mark={replies.length && `${root.ts}-${replies.at(-1).ts}`}>
        <p className="root">{root.text}</p>
        {replies.map((one) => <MessageRow message={one} key={one.ts} />)}
      </Scroller>
      {children}
    </aside>
  )
}
