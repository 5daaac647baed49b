// The page of the local Slack: one channel, its threads, modals, and people to be.
import 'slack-blocks-to-jsx/dist/style.css'
import './page.css'
import { useContext, useEffect, useMemo, useRef, useState } from 'react'
import { createRoot } from 'react-dom/client'
import { Composer } from './composer.jsx'
import { Messages, Scroller, Thread } from './messages.jsx'
import { Modal } from './modal.jsx'
import { act, subscribe } from './server.js'
import { Sidebar } from './sidebar.jsx'
import { World } from './world.js'

function Page() {
  const [person, setPerson] = useState('')
  const [state, setState] = useState(null)
  const [isConnected, setConnected] = useState(true)
  const [chosen, setChosen] = useState('')
  const [problem, setProblem] = useState('')
  useEffect(() => subscribe(person, setState, setConnected), [person])
  const [busy, during] = useBusy()
  const world = useMemo(() => state && { ...worldOf(state, setProblem), busy, during }, [state, busy])
  const channel = state && (state.channels.find((one) => one.id === (chosen || state.home)) || state.channels[0])
  useEffect(() => {
    document.title = channel ? `#${channel.name} · Local Slack` : 'Local Slack'
  }, [channel?.name])

  if (!state) return <p className="empty">{isConnected ? 'Connecting…' : 'The local Slack does not answer. Is the demo still running?'}</p>
  const become = (id) => {
    setPerson(id)
    setProblem('')
  }
  return (
    <World.Provider value={world}>
      <div className="page">
        <Sidebar channel={channel?.id} onChannel={setChosen} onPerson={become} />
        {channel ? <Channel key={channel.id} channel={channel} /> : <p className="empty">You are in no channel.</p>}
      </div>
      {state.view && <Modal key={state.view.id} view={state.view} />}
      <Notices key={`${state.me}${state.notice}`} lost={!isConnected} notice={state.notice} problem={problem} onRead={() => setProblem('')} />
    </World.Provider>
  )
}

// Names of what waits for the app's answer, and how to wait for it.
function useBusy() {
  const [busy, setBusy] = useState(new Set())
  const during = async (name, act) => {
    setBusy((old) => new Set(old).add(name))
    await act()
    setBusy((old) => new Set([...old].filter((one) => one !== name)))
  }
  return [busy, during]
}

function worldOf(state, complain) {
  const perform = async (name, body) => {
    const told = await act(name, body)
    complain(told)
    return told
  }
  return {
    state,
    me: state.me,
    app: state.app,
    people: Object.fromEntries(state.people.map((one) => [one.id, one])),
    channels: state.channels,
    data: {
      users: [...state.people.map(({ id, name }) => ({ id, name })), { id: state.app.user_id, name: state.app.name }],
      channels: state.channels.map(({ id, name }) => ({ id, name })),
      user_groups: state.usergroups.map((id) => ({ id, name: 'oncall' })),
    },
    perform,
    complain,
  }
}

// In the browser's top layer, so that an open modal does not cover it.
function Notices({ lost, notice, problem, onRead }) {
  const [isRead, setRead] = useState(false)
  const box = useRef(null)
  const words = lost ? 'The connection to the local Slack is lost; the demo may have ended.' : problem || (isRead ? '' : notice)
  useEffect(() => {
    box.current.hidePopover()
    if (words) box.current.showPopover()
  }, [words])
  const read = () => {
    onRead()
    setRead(true)
  }
  return (
    <div className={words ? 'problem' : ''} role="status" popover="manual" ref={box} data-notice={words ? '' : undefined}>
      {words && <>⚠️ {words}{!lost && <button type="button" className="plain" onClick={read} aria-label="Dismiss">✕</button>}</>}
    </div>
  )
}

function Channel({ channel }) {
  const { me, state, app } = useContext(World)
  const messages = state.messages.filter((one) => one.channel === channel.id)
  const top = messages.filter((one) => !one.thread_ts || one.thread_ts === one.ts || one.subtype === 'thread_broadcast')
  const [thread, openThread] = useThread(top)
  const root = top.find((one) => one.ts === thread)
  const replies = messages.filter((one) => one.thread_ts === thread && one.ts !== thread)
  const name = channel.is_im ? app.name : `#${channel.name}`
  return (
    <>
      <main className="channel">
        <header><h2>{name}</h2>{!channel.is_im && <span>Incidents, their cards and decisions</span>}</header>
        <Scroller label={name} mark={`${top.length}-${top.at(-1)?.ts}`}>
          {top.length === 0 && <p className="empty">Nothing here yet. Play an incident from the side bar, or type /incident help.</p>}
          <Messages messages={top} onThread={openThread} open={root?.ts} />
        </Scroller>
        <Composer key={me} channel={channel.id} label={`Message ${name}, or /incident help`} />
      </main>
      {root && (
        <Thread key={root.ts} root={root} replies={replies} channel={channel} onClose={() => openThread('')}>
          <Composer key={me} channel={channel.id} threadTs={root.ts} label={`Reply, or @${state.people.find((one) => one.id === app.user_id)?.name || 'app'} status`} />
        </Thread>
      )}
    </>
  )
}

// The newest thread opens by itself, but not under the hands of somebody who is writing in another one, and not where
// it would cover the cards; one that was closed stays closed until another is newer.
function useThread(top) {
  const newest = top.filter((one) => one.reply_count > 0).at(-1)?.ts || ''
  const [thread, setThread] = useState(isNarrow() ? '' : newest)
  const seen = useRef(newest)
  useEffect(() => {
    if (!newest || newest === seen.current) return
    seen.current = newest
    if (!isNarrow() && !document.querySelector('[data-thread] textarea')?.value) setThread(newest)
  }, [newest])
  return [thread, setThread]
}

function isNarrow() {
  return matchMedia('(max-width: 900px)').matches
}

createRoot(document.getElementById('root')).render(<Page />)
