// Workspace, channels, the incidents that can be played, and whose eyes one looks through.
import { useContext } from 'react'
import { World } from './world.js'

export function Sidebar({ state, channel, onChannel, onPerson }) {
  const { me, perform } = useContext(World)
  const people = state.people.filter((one) => one.id !== state.app.user_id && one.standing !== 'bot')
  return (
    <nav className="sidebar">
      <h1>{state.team}<small>a local stand-in for Slack</small></h1>
      <h2>Channels</h2>
      {state.channels.filter((one) => !one.is_im).map((one) => (
        <button type="button" key={one.id} className={one.id === channel ? 'row chosen' : 'row'} onClick={() => onChannel(one.id)}># {one.name}</button>
      ))}
      {state.incidents?.length > 0 && <h2>Incidents to play</h2>}
      {state.incidents?.map((one) => (
        <button type="button" key={one.name} className="row play" data-play={one.name} title={one.command} onClick={() => perform('play', { user: me, name: one.name })}>▶ {one.title}</button>
      ))}
      <h2>You are</h2>
      <select className="who" aria-label="You are" value={me} onChange={(event) => onPerson(event.target.value)}>
        {people.map((one) => (
          <option key={one.id} value={one.id}>{one.real_name || one.name}</option>
        ))}
      </select>
      <p className={state.connections ? 'link' : 'link off'}>{state.connections ? '● the app is connected' : '○ the app is not connected'}</p>
    </nav>
  )
}
