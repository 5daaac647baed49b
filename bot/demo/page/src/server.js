// The two ways to the local Slack: its state as server-sent events, and what a person does.

export function subscribe(user, onState, onConnection) {
  const events = new EventSource(`/control/events${user ? `?user=${encodeURIComponent(user)}` : ''}`)
  events.onopen = () => onConnection(true)
  events.onmessage = (event) => onState(JSON.parse(event.data))
  events.onerror = () => onConnection(false)
  return () => events.close()
}

// Resolves to '' when it was done, else to what went wrong in words. What the app failed to answer, and what an
// incomplete form lacks, comes with the state.
export async function act(name, body) {
  try {
    const response = await fetch(`/control/${name}`, {
      method: 'POST',
      headers: { 'Content-Type': 'application/json' },
      body: JSON.stringify(body),
    })
    const told = await response.json()
    if (told.ok || told.error === 'incomplete') return ''
    return (told.messages || []).join(' ') || told.error
  } catch {
    return 'The local Slack does not answer. Is the demo still running?'
  }
}
