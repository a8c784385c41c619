// A secret travels from the REST API to this component and to the clipboard. Page state, the log of events and the
// page's HTML after closing never see it.
import { useEffect, useRef, useState } from "react";
import { Dialog, DialogClose } from "./dialog.jsx";
import { Form, SubmitButton } from "./forms.jsx";
import { Icon } from "./icon.jsx";
import { at } from "./live_store.js";
import { useCopy } from "./copy.jsx";

export function SecretDialog({
  formId,
  trigger,
  open,
  onOpenChange,
  title,
  doneTitle,
  description,
  url,
  method = "POST",
  extra,
  submitLabel,
  secretPath = "secret",
  idPath = "id",
  example,
  formTexts,
  texts,
  onCreated,
  children,
}) {
  const [shown, setShown] = useState(false);
  const [answer, setAnswer] = useState(null);
  const visible = open ?? shown;
  const change = (next) => {
    if (open === undefined || open === null) setShown(next);
    onOpenChange?.(next);
    if (next) return;
    // Told after closing: reading rows again must not take the dialog away while the secret is on it.
    if (answer) onCreated?.(String(at(answer, idPath) ?? ""));
    setAnswer(null);
  };
  const secret = answer && String(at(answer, secretPath) ?? "");
  return (
    <Dialog
      trigger={trigger}
      open={visible}
      onOpenChange={change}
      dismissable={!answer}
      title={answer ? doneTitle : title}
      description={answer ? undefined : description}
      closeLabel={texts.close}
    >
      {answer ? (
        <Once secret={secret} example={example} texts={texts} />
      ) : (
        <Form formId={formId} url={url} method={method} extra={extra} onDone={setAnswer} texts={formTexts}>
          {children}
          <footer className="dialog-foot">
            <DialogClose label={texts.cancel} />
            <SubmitButton label={submitLabel} texts={formTexts} />
          </footer>
        </Form>
      )}
    </Dialog>
  );
}

function Once({ secret, example, texts }) {
  const [copied, copy] = useCopy(secret);
  const [refused, setRefused] = useState(false);
  const field = useRef(null);
  useEffect(() => field.current?.focus(), []);
  const press = async () => setRefused(!(await copy()));
  return (
    <div className="secret-once">
      <p className="banner tone-warn">
        <Icon name="triangle-alert" size={20} />
        <span>{texts.once}</span>
      </p>
      <div className="field">
        <label className="label" htmlFor="secret-once">
          {texts.label}
        </label>
        <div className="secret-text">
          <input id="secret-once" ref={field} className="input" readOnly value={secret} spellCheck="false" autoComplete="off" onFocus={(event) => event.target.select()} />
          <button type="button" className="button" onClick={press}>
            <Icon name={copied ? "check" : "copy"} />
            {copied ? texts.copied : texts.copy}
          </button>
        </div>
        <p className="hint" role="status">
          {refused ? texts.copy_failed : copied ? texts.copied : ""}
        </p>
      </div>
      {example && <Example text={example.replaceAll("{secret}", secret)} texts={texts} />}
      <footer className="dialog-foot">
        <DialogClose label={texts.done} look="primary" />
      </footer>
    </div>
  );
}

function Example({ text, texts }) {
  const [copied, copy] = useCopy(text);
  return (
    <div className="code-block">
      <header>
        {texts.curl}
        <button type="button" className="button quiet compact" onClick={copy}>
          <Icon name={copied ? "check" : "copy"} />
          {copied ? texts.copied : texts.copy}
        </button>
      </header>
      <pre tabIndex={0} role="region" aria-label={texts.curl}>
        <code>{text}</code>
      </pre>
    </div>
  );
}
