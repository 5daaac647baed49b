// Using an element of a message or a modal: asked about first where the app wants it, then delivered, one at a time.
import { useContext, useState } from 'react'
import { pressed } from './blocks.jsx'
import { Confirm } from './confirm.jsx'
import { World } from './world.js'

// `id` names the message or modal, wherever it is drawn; `deliver(hit, value)` resolves when the app has answered.
export function useInteraction(id, blocks, deliver) {
  const { busy, during } = useContext(World)
  const isWaiting = busy.has(id)
  const [asked, setAsked] = useState(null)
  const send = ({ hit, value }) => {
    setAsked(null)
    return during(id, () => deliver(hit, value))
  }
  const use = (hit, value) => {
    if (isWaiting) return
    if (hit.element.url) window.open(hit.element.url, '_blank', 'noopener')
    if (hit.element.confirm) setAsked({ hit, value })
    else send({ hit, value })
  }
  const onClickCapture = (event) => {
    const hit = pressed(event.target, blocks || [])
    if (!hit) return
    event.preventDefault()
    event.stopPropagation()
    use(hit)
  }
  const question = asked && (
    <Confirm confirm={asked.hit.element.confirm} style={asked.hit.element.style} onYes={() => send(asked)} onNo={() => setAsked(null)} />
  )
  return { isWaiting, question, use, onClickCapture }
}
