// Dialogs. The window itself, React Aria's, is fetched when the pointer or focus first nears its button, or when it opens.
import { createContext, lazy, Suspense, useContext, useEffect, useRef, useState } from "react";
import { Form, SubmitButton } from "./forms.jsx";
import { Icon } from "./icon.jsx";
import { connection, useSignal } from "./signals.js";

const fetchFrame = () => import("./dialog_frame.jsx");
const DialogFrame = lazy(fetchFrame);
const CloseContext = createContext(() => {});

/** Opened by its own button, or by `open` when something else decides. A busy dialog cannot be dismissed. */
export function Dialog({ trigger, open, onOpenChange, busy = false, dismissable = true, children, ...frame }) {
  const [own, setOwn] = useState(false);
  const controlled = open !== undefined && open !== null;
  const [left, setLeft] = useState(controlled && open); // by somebody who went elsewhere: the page's state kept it open
  const visible = controlled ? open && !left : own;
  const change = (next) => {
    if (!controlled) setOwn(next);
    onOpenChange?.(next);
  };
  useEffect(() => {
    if (left) (open ? onOpenChange?.(false) : setLeft(false));
  }, [left, open]);
  const leave = useRef();
  leave.current = () => change(false);
  useEffect(() => {
    if (!visible) return undefined;
    const close = () => leave.current();
    window.addEventListener("popstate", close);
    return () => window.removeEventListener("popstate", close);
  }, [visible]);
  return (
    <>
      {trigger && (
        <button
          type="button"
          className={`button ${trigger.look ?? ""}`}
          aria-haspopup="dialog"
          onPointerEnter={fetchFrame}
          onFocus={fetchFrame}
          onClick={() => change(true)}
        >
          {trigger.icon && <Icon name={trigger.icon} />}
          {trigger.label}
        </button>
      )}
      {visible && (
        <Suspense fallback={null}>
          <DialogFrame {...frame} busy={busy} dismissable={dismissable} onOpenChange={change}>
            <CloseContext.Provider value={() => change(false)}>{children}</CloseContext.Provider>
          </DialogFrame>
        </Suspense>
      )}
    </>
  );
}

export function DialogClose({ label, look = "", disabled = false, onPress }) {
  const close = useContext(CloseContext);
  const press = () => {
    if (disabled) return;
    onPress?.();
    close();
  };
  return (
    <button type="button" className={`button ${look}`} aria-disabled={disabled || undefined} onClick={press}>
      {label}
    </button>
  );
}

/**
 * States the consequence first; with `typed`, the exact name has to be typed before the verb can be pressed. With
 * `busy` told by the page it stays until the act is done, or until `error` says why it was not. With `url` the act is
 * sent there, as a form sends it, and the dialog stays until it is done.
 */
export function ConfirmDialog({ trigger, open, onOpenChange, title, text, verb, typed, typedLabel, danger, busy, error, onConfirm, url, formId, method, extra, doneText, onDone, texts, formTexts, children }) {
  const lost = useSignal(connection) === "lost";
  const [entered, setEntered] = useState("");
  const [own, setOwn] = useState(false);
  const [asked, setAsked] = useState(false);
  const acting = useRef(false);
  const waits = busy !== undefined && busy !== null;
  const ready = !lost && (!typed || entered.trim() === typed);
  const look = danger ? "primary danger" : "primary";
  const change = (isOpen) => {
    setEntered("");
    setAsked(false);
    setOwn(isOpen);
    onOpenChange?.(isOpen);
  };
  useEffect(() => {
    if (acting.current && !busy && !error) change(false);
    acting.current = Boolean(busy);
  }, [busy, error]);
  const confirm = () => {
    setAsked(true);
    onConfirm?.();
  };
  const done = (answer) => {
    change(false);
    onDone?.(answer);
  };
  const guarded = url || waits; // by a button that tells by itself why it is off
  const content = (
    <>
      {text && <p>{text}</p>}
      {children}
      {typed && (
        <label className="field">
          <span className="label">{typedLabel}</span>
          <input className="input" value={entered} autoComplete="off" spellCheck="false" onChange={(event) => setEntered(event.target.value)} />
        </label>
      )}
      {lost && !guarded && <p className="small muted">{texts.lost}</p>}
      {asked && error && (
        <p className="field-error" role="alert">
          <Icon name="circle-alert" />
          {error}
        </p>
      )}
      <footer className="dialog-foot">
        <DialogClose label={texts.cancel} disabled={Boolean(busy)} />
        {guarded ? (
          <SubmitButton label={verb} look={look} busy={Boolean(busy)} disabled={!ready} onPress={url ? undefined : confirm} texts={texts} />
        ) : (
          <DialogClose label={verb} look={look} disabled={!ready} onPress={onConfirm} />
        )}
      </footer>
    </>
  );
  return (
    <Dialog trigger={trigger} open={open ?? own} onOpenChange={change} title={title} size="small" role="alertdialog" closeLabel={texts.close} busy={Boolean(busy)}>
      {url ? (
        <Form formId={formId} url={url} method={method} extra={extra} doneText={doneText} onDone={done} texts={formTexts}>
          {content}
        </Form>
      ) : (
        content
      )}
    </Dialog>
  );
}
