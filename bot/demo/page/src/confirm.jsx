// Slack's "are you sure": drawn by us, since the library's own overlay covers the message.
import { useEffect, useRef } from 'react'
import { Blocks } from './blocks.jsx'

export function Confirm({ confirm, style, onYes, onNo }) {
  const box = useRef(null)
  useEffect(() => box.current.showModal(), [])
  const cancel = (event) => {
    event.preventDefault()
    event.stopPropagation()
    onNo()
  }
  const isDangerous = (confirm.style || style) === 'danger'
  return (
    <dialog className="confirm" data-confirm aria-labelledby="confirm-title" ref={box} onCancel={cancel} onClose={onNo}>
      <h2 id="confirm-title">{confirm.title.text}</h2>
      <div className="inside">{confirm.text.type === 'mrkdwn' ? <Blocks text={confirm.text.text} /> : <p>{confirm.text.text}</p>}</div>
      <footer>
        <button type="button" data-confirm-no onClick={onNo}>{confirm.deny.text}</button>
        <button type="button" className={isDangerous ? 'danger' : 'primary'} data-confirm-yes autoFocus onClick={onYes}>{confirm.confirm.text}</button>
      </footer>
    </dialog>
  )
}
