// A message, a list of them, and the thread beside the channel.
import { useContext, useEffect, useLayoutEffect, useRef } from 'react'
import { Blocks } from './blocks.jsx'
import { useInteraction } from './interaction.jsx'
import { clock } from './text.js'
import { World } from './world.js'

const TOGETHER_SECONDS = 300

export function Messages({ messages, onThread, open, isRoot }) {
  return messages.map((one, number) => (
    <Message message={one} key={one.ts} onThread={onThread} isRoot={isRoot} isOpen={one.ts === open} isFollowing={follows(one, messages[number - 1])} />
  ))
}

// Slack leaves out the byline where the same one goes on writing; a card always has one.
function follows(message, before) {
  if (!before || before.user !== message.user || before.is_ephemeral !== message.is_ephemeral) return false
  const isCard = [message, before].some((one) => one.blocks?.some((block) => block.type === 'header') || one.reply_count)
  return !isCard && Number(message.ts) - Number(before.ts) < TOGETHER_SECONDS
}

function Message({ message, onThread, isRoot, isOpen, isFollowing }) {
  const { me, people, app, perform } = useContext(World)
  const isApp = message.user === app.user_id
  const name = isApp ? app.name : people[message.user]?.real_name || message.user
  const at = new Date(Number(message.ts) * 1000)
  const { isWaiting, question, use, onClickCapture } = useInteraction(message.ts, message.blocks, ({ block_id, element }, value) =>
    perform('click', { user: me, ts: message.ts, action_id: element.action_id, block_id, value }))
  const classes = ['message', message.is_ephemeral && 'ephemeral', isOpen && 'open', isFollowing && 'following']
  const named = isRoot ? { 'data-root': message.ts } : { 'data-ts': message.ts }
  return (
    <article className={classes.filter(Boolean).join(' ')} {...named}>
      {isFollowing ? <time className="gutter">{clock(at)}</time> : <Avatar name={name} isApp={isApp} id={message.user} />}
      <div className="body">
        {message.is_ephemeral && <div className="note">👁 Only visible to you</div>}
        {!isFollowing && (
          <div className="byline">
            <b>{name}</b>
            {(isApp || people[message.user]?.standing === 'bot') && <span className="badge">APP</span>}
            <time title={at.toString()}>{clock(at)}</time>
            {message.subtype === 'thread_broadcast' && <span className="note">also sent to the channel</span>}
          </div>
        )}
        <fieldset className="content" disabled={isWaiting} aria-busy={isWaiting} onClickCapture={onClickCapture}>
          <Blocks blocks={message.blocks} text={message.text} onControl={use} />
          {message.is_streaming && <Streaming stop={() => perform('stop_stream', { user: me, ts: message.ts })} />}
          {message.is_broken && <div className="unknown">This stream was cut off.</div>}
          {message.edited && !message.blocks?.length && <span className="note">(edited)</span>}
        </fieldset>
        <Reactions reactions={message.reactions || []} />
        {onThread && message.reply_count > 0 && (
          <button className="replies" type="button" onClick={() => onThread(message.ts)}>
            {counted(message.reply_count)} <span>Last at {clock(new Date(Number(message.latest_reply) * 1000))}</span>
          </button>
        )}
      </div>
      {question}
    </article>
  )
}

function Streaming({ stop }) {
  return <p className="note">● writing <button type="button" className="plain" onClick={stop}>Stop</button></p>
}

function Reactions({ reactions }) {
  return reactions.map((one) => <span className="reaction" key={one.name}><Blocks text={`:${one.name}:`} /> {one.count}</span>)
}

function Avatar({ name, isApp, id }) {
  if (isApp) return <div className="avatar app" aria-hidden="true">🛟</div>
  const hue = [...id].reduce((sum, letter) => (sum * 31 + letter.charCodeAt(0)) % 360, 7)
  return <div className="avatar" style={{ background: `hsl(${hue} 45% 42%)` }} aria-hidden="true">{name[0].toUpperCase()}</div>
}

function counted(replies) {
  return `${replies} ${replies === 1 ? 'reply' : 'replies'}`
}

// Stays at the newest message unless the reader has scrolled up.
export function Scroller({ children, mark, label }) {
  const box = useRef(null)
  const isAtEnd = useRef(true)
  const stay = () => {
    if (box.current && isAtEnd.current) box.current.scrollTop = box.current.scrollHeight
  }
  useLayoutEffect(stay, [mark])
  useEffect(() => {
    const observer = new ResizeObserver(stay)
    for (const one of [box.current, ...box.current.children]) observer.observe(one)
    return () => observer.disconnect()
  }, [])
  const onScroll = ({ target }) => {
    isAtEnd.current = target.scrollHeight - target.scrollTop - target.clientHeight < 60
  }
  return <div className="list" ref={box} onScroll={onScroll} role="log" aria-label={label} tabIndex="0"><div>{children}</div></div>
}

export function Thread({ root, replies, channel, onClose, children }) {
  return (
    <aside className="thread" data-thread={root.ts} aria-label="Thread">
      <header>
        <h2>Thread</h2>
        <span># {channel.name}</span>
        <button type="button" className="plain" onClick={onClose} aria-label="Close the thread">✕</button>
      </header>
      <Scroller label="Replies" mark={replies.length && replies.at(-1).ts}>
        <Messages messages={[root]} isRoot />
        <p className="count">{replies.length ? counted(replies.length) : 'No replies yet'}</p>
        <Messages messages={replies} />
      </Scroller>
      {children}
    </aside>
  )
}
