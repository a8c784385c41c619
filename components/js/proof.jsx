// "Confirm it is you": asked once per window, when the server wants a proof before it does what was sent.
import { useEffect, useState } from "react";
import { Dialog, DialogClose } from "./dialog.jsx";
import { Field, Form, SubmitButton } from "./forms.jsx";
import { reopen } from "./live_store.js";
import { provideProof, send } from "./request.js";

const PROOF = "/api/v1/session/proof";

/**
 * Sockets keep the cookie they were opened with, and a proof replaces the cookie. Reflex's own is closed as when the
 * page is put away, and opened again as when the page comes back.
 */
function reopenSockets() {
  reopen();
  window.dispatchEvent(new PageTransitionEvent("pagehide", { persisted: true }));
  document.dispatchEvent(new Event("visibilitychange"));
}

export function ProofDialog({ texts, formTexts }) {
  const [asked, setAsked] = useState(null);
  useEffect(() => {
    provideProof(async () => {
      const { needs_code: needsCode } = await send("GET", PROOF, { unreachable: formTexts.unreachable });
      return new Promise((resolve) => setAsked({ resolve, needsCode }));
    });
    return () => provideProof(null);
  }, []);
  const settle = (proved) => {
    asked?.resolve(proved);
    setAsked(null);
  };
  const proved = () => {
    reopenSockets();
    settle(true);
  };
  return (
    <Dialog
      open={Boolean(asked)}
      onOpenChange={(open) => !open && settle(false)}
      title={texts.title}
      description={texts.text}
      size="small"
      closeLabel={texts.close}
    >
      <Form formId="proof" url={PROOF} onDone={proved} texts={formTexts}>
        <Field kind="password" name="password" label={texts.password} autoComplete="current-password" required texts={formTexts} />
        {asked?.needsCode && <Field kind="text" name="code" label={texts.code} hint={texts.code_hint} autoComplete="one-time-code" required />}
        <footer className="dialog-foot">
          <DialogClose label={texts.cancel} />
          <SubmitButton label={texts.submit} texts={formTexts} />
        </footer>
      </Form>
    </Dialog>
  );
}
