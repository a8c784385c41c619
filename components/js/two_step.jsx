// The seed of an authenticator app and recovery codes travel from the REST API to these dialogs and nowhere else: page
// state, the log of events and the page's HTML after closing never see them.
import { useState } from "react";
import { CopyField, useCopy } from "./copy.jsx";
import { Dialog, DialogClose } from "./dialog.jsx";
import { Field, Form, SubmitButton } from "./forms.jsx";
import { Icon } from "./icon.jsx";
import { send } from "./request.js";
import { toast } from "./signals.js";

/** A button that posts to `url` and shows the answer in a dialog; a proof may be asked in between. */
function useAsked(url, unreachable) {
  const [answer, setAnswer] = useState(null);
  const [busy, setBusy] = useState(false);
  const ask = async () => {
    setBusy(true);
    try {
      setAnswer(await send("POST", url, { unreachable }));
    } catch (problem) {
      toast.error(problem.message, { description: problem.nextStep });
    }
    setBusy(false);
  };
  return [answer, setAnswer, busy, ask];
}

export function EnrolDialog({ label, url, confirmUrl, texts, formTexts, onDone }) {
  const [enrolment, setEnrolment, busy, ask] = useAsked(url, formTexts.unreachable);
  const [codes, setCodes] = useState(null);
  const close = (open) => {
    if (open) return;
    setEnrolment(null);
    setCodes(null);
    if (codes) onDone?.();
  };
  return (
    <>
      <SubmitButton label={label} icon="shield" busy={busy} onPress={ask} texts={formTexts} />
      <Dialog
        open={Boolean(enrolment)}
        onOpenChange={close}
        dismissable={!codes}
        title={codes ? texts.codes_title : texts.enrol_title}
        description={codes ? undefined : texts.enrol_text}
        closeLabel={texts.close}
      >
        {codes ? (
          <Codes codes={codes} texts={texts} />
        ) : (
          <>
            <img className="qr-code" src={enrolment?.picture} alt={texts.picture} />
            <CopyField fieldId="authenticator-key" text={enrolment?.key} label={texts.key} hint={texts.key_hint} texts={texts} />
            <p>
              <a className="button" href={enrolment?.address}>
                <Icon name="external-link" />
                {texts.open_app}
              </a>
            </p>
            <Form formId="enrol" url={confirmUrl} onDone={(answer) => setCodes(answer.codes)} texts={formTexts}>
              <Field kind="text" name="code" label={texts.code} hint={texts.code_hint} autoComplete="one-time-code" inputMode="numeric" required />
              <footer className="dialog-foot">
                <DialogClose label={texts.cancel} />
                <SubmitButton label={texts.confirm} texts={formTexts} />
              </footer>
            </Form>
          </>
        )}
      </Dialog>
    </>
  );
}

export function RecoveryCodesDialog({ label, url, texts, formTexts, onDone }) {
  const [answer, setAnswer, busy, ask] = useAsked(url, formTexts.unreachable);
  const close = (open) => {
    if (open) return;
    setAnswer(null);
    onDone?.();
  };
  return (
    <>
      <SubmitButton label={label} look="" icon="rotate-ccw" busy={busy} onPress={ask} texts={formTexts} />
      <Dialog open={Boolean(answer)} onOpenChange={close} dismissable={false} title={texts.codes_title} closeLabel={texts.close}>
        <Codes codes={answer?.codes ?? []} texts={texts} />
      </Dialog>
    </>
  );
}

function Codes({ codes, texts }) {
  const [copied, copy] = useCopy(codes.join("\n"));
  const [refused, setRefused] = useState(false);
  const press = async () => setRefused(!(await copy()));
  return (
    <div className="secret-once">
      <p className="banner tone-warn">
        <Icon name="triangle-alert" size={20} />
        <span>{texts.codes_once}</span>
      </p>
      <ul className="recovery-codes" aria-label={texts.codes_title}>
        {codes.map((code) => (
          <li key={code}>
            <code>{code}</code>
          </li>
        ))}
      </ul>
      <p className="hint" role="status">
        {refused ? texts.copy_failed : copied ? texts.done : ""}
      </p>
      <footer className="dialog-foot">
        <button type="button" className="button" onClick={press}>
          <Icon name={copied ? "check" : "copy"} />
          {texts.copy_all}
        </button>
        <DialogClose label={texts.kept} look="primary" />
      </footer>
    </div>
  );
}
