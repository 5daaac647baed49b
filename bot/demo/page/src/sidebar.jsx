// Workspace, channels, the incidents that can be played, and whose eyes one looks through.
import { useContext } from 'react'
import { World } from './world.js'

export function Sidebar({ channel, onChannel, onPerson }) {
  const { me, state } = useContext(World)
  const people = state.people.filter((one) => one.id !== state.app.user_id && one.standing !== 'bot')
  const isOn = state.connections > 0
  return (
    <nav className="sidebar" aria-label="Workspace">
      <h1>{state.team}<small>a local stand-in for Slack</small></h1>
      <h2>Channels</h2>
      {state.channels.map((one) => (
        <button type="button" key={one.id} className={one.id === channel ? 'row chosen' : 'row'} aria-current={one.id === channel} onClick={() => onChannel(one.id)}>
          {one.is_im ? `🛟 ${state.app.name}` : `# ${one.name}`}
        </button>
      ))}
      {state.incidents?.length > 0 && <h2>Incidents to play</h2>}
      {state.incidents?.map((one) => <Incident key={one.name} incident={one} />)}
      <h2 id="who">You are</h2>
      <select className="who" aria-labelledby="who" value={me} onChange={(event) => onPerson(event.target.value)}>
        {people.map((one) => <option key={one.id} value={one.id}>{one.real_name || one.name}</option>)}
      </select>
      <p className={isOn ? 'link' : 'link off'}>{isOn ? '● the app is connected' : '○ the app is not connected'}</p>
    </nav>
  )
}

function Incident({ incident }) {
  const { me, busy, during, perform } = useContext(World)
  const play = () => during(incident.name, () => perform('play', { user: me, name: incident.name }))
  return (
    <button type="button" className="row play" data-play={incident.name} title={incident.command} disabled={busy.has(incident.name)} onClick={play}>
      <span aria-hidden="true">▶</span> {incident.title}
    </button>
  )
}
