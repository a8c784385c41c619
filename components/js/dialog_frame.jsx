import { Dialog, Heading, Modal, ModalOverlay } from "react-aria-components";
import { Icon } from "./icon.jsx";

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
        </Dialog>
      </Modal>
    </ModalOverlay>
  );
}
