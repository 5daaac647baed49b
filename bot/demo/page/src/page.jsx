// The page of the local Slack: one channel, its threads, modals, and people to be.
import 'slack-blocks-to-jsx/dist/style.css'
import './page.css'
import { useEffect, useMemo, useRef, useState } from 'react'
import { createRoot } from 'react-dom/client'
import { Composer } from './composer.jsx'
import { MessageRow, Scroller, Thread } from './messages.jsx'
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

  const perform = async (name, body, { isQuiet = false } = {}) => {
    const told = await act(name, body)
    if (!isQuiet || !told) setProblem(told)
    return told
  }
  const world = useMemo(() => state && {
    me: state.me,
    app: state.app,
    people: Object.fromEntries(state.people.map((one) => [one.id, one])),
    data: {
      users: [...state.people.map(({ id, name }) => ({ id, name })), { id: state.app.user_id, name: state.app.name }],
      channels: state.channels.map(({ id, name }) => ({ id, name })),
      user_groups: state.usergroups.map((id) => ({ id, name: 'oncall' })),
    },
    perform,
  }, [state])

  if (!state) return <p className="empty">Connecting…</p>
  const channel = state.channels.find((one) => one.id === chosen) || state.channels.find((one) => one.id === state.home) || state.channels[0]
  return (
    <World.Provider value={world}>
      <div className="page">
        <Sidebar state={state} channel={channel?.id} onChannel={setChosen} onPerson={(id) => { setPerson(id); setProblem('') }} />
        {channel ? <Channel key={`${state.me}${channel.id}`} channel={channel} state={state} /> : <p className="empty">You are in no channel.</p>}
      </div>
      {state.view && <Modal key={state.view.id} view={state.view} />}
      {(problem || state.notice || !isConnected) && (
        <div className="problem" role="status">
          {isConnected ? problem || state.notice : 'The demo has ended, or its address changed.'}
          {problem && <button type="button" className="plain" onClick={() => setProblem('')} aria-label="Dismiss">✕</button>}
        </div>
      )}
    </World.Provider>
  )
}

function Channel({ channel, state }) {
  const messages = state.messages.filter((one) => one.channel === channel.id)
  const top = messages.filter((one) => !one.thread_ts || one.thread_ts === one.ts || one.subtype === 'thread_broadcast')
  const [thread, openThread] = useThread(top)
  const root = top.find((one) => one.ts === thread)
  const replies = messages.filter((one) => one.thread_ts === thread && one.ts !== thread)
  const newest = messages.at(-1)
  return (
    <>
      <main className="channel">
        <header><h2># {channel.name}</h2><span>Incidents, their cards and decisions</span></header>
        <Scroller className="list" mark={newest && `${top.length}-${newest.ts}`}>
          {top.length === 0 && <p className="empty">Nothing here yet. Play an incident from the side bar, or type /incident help.</p>}
          {top.map((one) => <MessageRow message={one} key={one.ts} onThread={openThread} isOpen={one.ts === thread} />)}
        </Scroller>
        <Composer channel={channel.id} label={`Message #${channel.name}, or /incident help`} />
      </main>
      {root && (
        <Thread root={root} replies={replies} onClose={() => openThread('')}>
          <Composer channel={channel.id} threadTs={root.ts} label="Reply, or @incident-resolver status" />
        </Thread>
      )}
    </>
  )
}

// The newest thread opens by itself; closing one keeps it closed until another is newer.
function useThread(top) {
  const newest = top.filter((one) => one.reply_count > 0).at(-1)?.ts || ''
  const [thread, setThread] = useState(newest)
  const seen = useRef(newest)
  useEffect(() => {
    if (newest && newest !== seen.current) {
      seen.current = newest
      setThread(newest)
    }
  }, [newest])
  return [thread, setThread]
}

createRoot(document.getElementById('root')).render(<Page />)
