// Slack's "are you sure": drawn by us, since the library's own overlay covers the message.
import { useEffect, useRef } from 'react'

export function Confirm({ confirm, style, onYes, onNo }) {
  const box = useRef(null)
  useEffect(() => box.current.showModal(), [])
  return (
    <dialog className="confirm" data-confirm ref={box} onCancel={onNo} onClick={(event) => event.stopPropagation()}>
      <h2>{confirm.title.text}</h2>
      <p>{confirm.text.text}</p>
      <footer>
        <button type="button" data-confirm-no onClick={onNo}>{confirm.deny.text}</button>
        <button type="button" className={style === 'danger' ? 'danger' : 'primary'} data-confirm-yes onClick={onYes}>{confirm.confirm.text}</button>
      </footer>
    </dialog>
  )
}
