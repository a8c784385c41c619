import { useEffect, useRef } from "react";
import { Dialog, Heading, Modal, ModalOverlay } from "react-aria-components";
import { Icon } from "./icon.jsx";

const FIELDS = "input:not([type=hidden], [readonly]), select, textarea";

/** A dialog with a form begins at its first field. Runs before React Aria would focus the window itself. */
function FirstField() {
  const here = useRef(null);
  useEffect(() => here.current.closest(".dialog-body").querySelector(`.form :is(${FIELDS})`)?.focus(), []);
  return <span ref={here} hidden />;
}

export default function DialogFrame({ title, description, size = "medium", busy, dismissable, role, closeLabel, onOpenChange, children }) {
  const free = !busy && dismissable;
  return (
    <ModalOverlay className="overlay" isOpen onOpenChange={onOpenChange} isDismissable={free} isKeyboardDismissDisabled={!free}>
      <Modal className={`dialog dialog-${size}`}>
        <Dialog className="dialog-body" role={role}>
          <header className="dialog-head">
            <Heading slot="title" className="dialog-title">
              {title}
            </Heading>
            <button
              type="button"
              className="button quiet square compact"
              aria-label={closeLabel}
              aria-disabled={busy || undefined}
              onClick={() => !busy && onOpenChange(false)}
            >
              <Icon name="x" />
            </button>
          </header>
          {description && <p className="muted">{description}</p>}
          {children}
          <FirstField />
        </Dialog>
      </Modal>
    </ModalOverlay>
  );
}
