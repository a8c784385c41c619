// Forms: labels, hints, errors at the field and in a summary, one effect per submit.
import { createContext, useContext, useEffect, useId, useRef, useState } from "react";
import { Choices, Tick } from "./choices.jsx";
import { ConflictPanel, differencesOf } from "./conflict.jsx";
import { complaint, valuesOf } from "./form_values.js";
import { Icon } from "./icon.jsx";
import { LeaveGuard } from "./leave_guard.jsx";
import { Password } from "./password.jsx";
import { useSeenValues, useUnseen } from "./preview.js";
import { nested, newKey, ownPath, send } from "./request.js";
import { useSettled } from "./settled.js";
import { connection, toast, useSignal } from "./signals.js";

const FormContext = createContext({ errors: {}, complaints: {}, busy: false, formId: "form", forgive: () => {}, complain: () => {} });
const GUARD_MS = 1000;

export const fieldId = (formId, name) => `${formId}-${name}`;

/** The id and the complaint of the field `name` in the form around, and how to say that its value is right or wrong. */
export function useField(name) {
  const { errors, complaints, formId, forgive, complain } = useContext(FormContext);
  return { id: fieldId(formId, name), error: errors[name] ?? complaints[name], forgive, complain };
}

/**
 * Sends to `url` by REST and leaves for `destination`, or hands its values to `onSubmit`. `errors` ({field: message}) and
 * `error` (about the whole) come from the server. `goOn` ({url, field}) is what is posted next, with the answer's id as its
 * field, before anybody is told. `names` says what fields are called in what is read. `onSettled` gets values unchecked.
 * `seen` are those of its values that the preview on the page was made of.
 * `met` ({form, times, who, at, version, theirs}) is the newer version that the page met when it saved what was handed on.
 */
export function Form({ formId, url, method = "POST", extra, version, met, names, goOn, destination, onSubmit, onSettled, onDone, onTakeTheirs, errors, error, busy = false, guard = false, fullPage = true, seen, doneText, texts, conflictTexts, children }) {
  const [conflict, setConflict] = useState(null);
  const [own, setOwn] = useState(() => ({ errors: errors ?? {}, error: error ?? "" }));
  const [complaints, setComplaints] = useState({}); // of fields that were left; the summary is for what was sent
  const [sending, setSending] = useState(false);
  const [dirty, setDirty] = useState(false);
  const form = useRef(null);
  const summary = useRef(null);
  const drawn = useRef(false);
  const handed = useRef(null); // what the page was given last, to be given again over a newer version
  const attempt = useRef(null); // what was sent and not answered: sent again, it must not happen twice
  const given = JSON.stringify(errors ?? {}) + (error ?? "");
  useEffect(() => {
    if (drawn.current) setOwn({ errors: errors ?? {}, error: error ?? "" });
  }, [given]);
  useEffect(() => {
    if (met?.form !== formId || !handed.current) return;
    setDirty(true);
    setConflict({ ...met, values: handed.current });
  }, [met?.times]);

  const failed = Object.keys(own.errors).length > 0 || Boolean(own.error);
  useEffect(() => {
    if (!failed || !drawn.current) return undefined; // a page that opens with them keeps its own focus and name
    summary.current?.focus();
    const title = document.title;
    document.title = `${texts.error}: ${title}`;
    return () => {
      document.title = title;
    };
  }, [own, failed, texts.error]);
  useEffect(() => {
    drawn.current = true;
  }, []);

  async function sendTo(values, over = version) {
    setSending(true);
    try {
      const body = { ...nested(values), ...extra, ...(over === undefined ? {} : { version: over }) };
      const text = JSON.stringify(body);
      if (attempt.current?.text !== text) attempt.current = { text, key: newKey() };
      const headers = method === "POST" ? { "Idempotency-Key": attempt.current.key } : {};
      const answer = await send(method, url, { body, headers, unreachable: texts.unreachable });
      if (goOn) await send("POST", goOn.url, { body: { [goOn.field]: answer.id }, unreachable: texts.unreachable });
      attempt.current = null;
      if (doneText) toast.success(doneText);
      onDone?.(answer ?? {});
      if (destination && fullPage) {
        const next = new URLSearchParams(window.location.search).get("next");
        const step = answer?.next && next ? `${answer.next}?next=${encodeURIComponent(next)}` : answer?.next;
        window.location.assign(ownPath(step ?? next, destination));
        return; // still busy: the page is leaving
      }
      setSending(false);
    } catch (problem) {
      const theirs = conflictTexts && problem.status === 412 ? problem.details.current : undefined;
      if (theirs) {
        setDirty(true);
        setConflict({ values, theirs, version: theirs.version, who: problem.details.changed_by, at: problem.details.changed_at });
        setSending(false);
        return;
      }
      const known = Object.keys(problem.fields ?? {}).length > 0;
      setDirty(true);
      setOwn({ errors: problem.fields ?? {}, error: known ? "" : (problem.sentence ?? problem.message) });
      setSending(false);
    }
  }

  function submit(event) {
    event.preventDefault();
    event.stopPropagation();
    if (busy || sending) return;
    const found = {};
    for (const control of form.current.elements) {
      const text = control.name && !control.disabled ? complaint(control, texts) : "";
      if (text) found[control.name] ??= text;
    }
    const isSound = Object.keys(found).length === 0;
    // What the page says is wrong stays until it says otherwise: the same words again would be no change.
    if (url || !isSound) setOwn({ errors: found, error: "" });
    setComplaints({});
    setConflict(null);
    const act = event.nativeEvent.submitter?.dataset.act; // of which button, where a form has several
    if (isSound) hand({ ...valuesOf(form.current), ...(act && { act }) });
  }

  function hand(values, over) {
    setDirty(false);
    if (url) return sendTo(values, over);
    handed.current = values;
    return onSubmit?.({ ...values, ...extra, ...(over === undefined ? {} : { version: over }) });
  }

  const settle = useSettled(onSettled && (() => form.current && onSettled({ ...valuesOf(form.current), ...extra })));
  const compare = useSeenValues(form, seen);
  function keepMine() {
    setConflict(null);
    hand(conflict.values, conflict.version);
  }

  function takeTheirs() {
    setConflict(null);
    setDirty(false);
    form.current.reset(); // so that what is read anew is shown in place of what was typed
    onTakeTheirs?.();
  }

  const complain = (name, text) => setComplaints((all) => ({ ...all, [name]: text }));

  function forgive(name) {
    setComplaints(({ [name]: _gone, ...rest }) => rest);
    setOwn(({ errors: old, error: whole }) => {
      const { [name]: _gone, ...rest } = old;
      return { errors: rest, error: whole };
    });
  }

  // After a first submit, a field's complaint goes as soon as its value is right.
  function recheck(event) {
    const { name } = event.target;
    if (name && own.errors[name] && !complaint(event.target, texts)) forgive(name);
  }

  return (
    <FormContext.Provider value={{ errors: own.errors, complaints, busy: busy || sending, formId, forgive, complain }}>
      {/* By post: what is sent before this script runs, a password maybe, must not stand in an address. */}
      <form id={formId} ref={form} className="form" method="post" noValidate onSubmit={submit} onChange={recheck} onInput={() => (setDirty(true), compare(), settle())}>
        {guard && <LeaveGuard dirty={dirty} text={texts.leave} />}
        {failed && <Summary ref={summary} formId={formId} errors={own.errors} error={own.error} texts={texts} />}
        {conflict && (
          <ConflictPanel
            who={conflict.who || conflictTexts.somebody}
            at={conflict.at || new Date().toISOString()}
            fields={differencesOf(form.current, conflict, conflictTexts, names)}
            busy={sending}
            texts={conflictTexts}
            formTexts={texts}
            onKeepMine={keepMine}
            onTakeTheirs={takeTheirs}
          />
        )}
        {children}
      </form>
    </FormContext.Provider>
  );
}

function Summary({ ref, formId, errors, error, texts }) {
  const entries = Object.entries(errors);
  const title = useId();
  const jump = (event, name) => {
    event.preventDefault();
    document.getElementById(fieldId(formId, name))?.focus();
  };
  return (
    <div className="error-summary" role="alert" tabIndex={-1} ref={ref} aria-labelledby={title}>
      <p id={title} className="error-summary-title">
        <Icon name="circle-alert" size={20} />
        {error || texts.problems}
      </p>
      {entries.length > 0 && (
        <ul>
          {entries.map(([name, message]) => (
            <li key={name}>
              <a href={`#${fieldId(formId, name)}`} onClick={(event) => jump(event, name)}>
                {message}
              </a>
            </li>
          ))}
        </ul>
      )}
    </div>
  );
}

const attributesOf = ({ autoComplete, required, minLength, maxLength, min, max, step, inputMode, pattern, rows, spellCheck }) => ({
  autoComplete,
  required,
  minLength,
  maxLength,
  min,
  max,
  step,
  inputMode,
  pattern,
  rows,
  spellCheck,
});

/** Label, hint and complaint around the control whose id is `id`. */
export function FieldFrame({ id, label, hint, optional, error, children }) {
  return (
    <div className="field">
      <label className="label" htmlFor={id} id={`${id}-label`}>
        {label}
        {optional && <span className="optional"> {optional}</span>}
      </label>
      {hint && (
        <p className="hint" id={`${id}-hint`}>
          {hint}
        </p>
      )}
      {children}
      <FieldError id={id} error={error} />
    </div>
  );
}

export function FieldError({ id, error }) {
  if (!error) return null;
  return (
    <p className="field-error" id={`${id}-error`}>
      <Icon name="circle-alert" />
      {error}
    </p>
  );
}

/** The ids that describe a control, for aria-describedby. */
export const descriptionsOf = (id, { hint, error, more }) => [hint && `${id}-hint`, error && `${id}-error`, more].filter(Boolean).join(" ") || undefined;

/** One labelled control. `kind`: text, email, password, number, search, textarea, select, checkbox, switch, checkboxes, radios. */
export function Field({ kind = "text", name, label, hint, suffix, value, options, onChange, texts, optional, readOnly, ...rest }) {
  const { errors, formId } = useContext(FormContext);
  const error = errors[name];
  const id = fieldId(formId, name);
  const described = descriptionsOf(id, { hint, error });
  const shared = {
    id,
    name,
    readOnly,
    "data-label": label,
    "aria-describedby": described,
    "aria-invalid": error ? true : undefined,
    ...attributesOf(rest),
  };
  const help = hint && (
    <p className="hint" id={`${id}-hint`}>
      {hint}
    </p>
  );
  if (kind === "checkbox" || kind === "switch") {
    return (
      <div className="field">
        <label className="check">
          <Tick {...shared} kind={kind} value={value} onChange={onChange} />
          <span>{label}</span>
        </label>
        {help}
        <FieldError id={id} error={error} />
      </div>
    );
  }
  if (kind === "checkboxes" || kind === "radios") {
    return (
      <fieldset className="field" id={id} tabIndex={-1} aria-describedby={described}>
        <legend className="label">{label}</legend>
        {help}
        <FieldError id={id} error={error} />
        <Choices {...shared} kind={kind} options={options} value={value} onChange={onChange} />
      </fieldset>
    );
  }
  return (
    <FieldFrame id={id} label={label} hint={hint} optional={optional} error={error}>
      <Control {...shared} kind={kind} options={options} value={value} suffix={suffix} texts={texts} onChange={onChange} />
    </FieldFrame>
  );
}

function Control({ kind, options, value, suffix, texts, onChange, ...shared }) {
  const changed = onChange ? { onChange: (event) => onChange(event.target.value) } : {};
  if (kind === "textarea") return <textarea {...shared} {...changed} className="input" defaultValue={value} />;
  if (kind === "select") {
    return (
      <div className="select">
        <select {...shared} {...changed} className="input" defaultValue={value} key={value}>
          {(options ?? []).map((option) => (
            <option key={option.id} value={option.id}>
              {option.label}
            </option>
          ))}
        </select>
        <Icon name="chevron-down" />
      </div>
    );
  }
  if (kind === "password") return <Password {...shared} {...changed} texts={texts} />;
  const input = <input {...shared} {...changed} type={kind} className="input" defaultValue={value} />;
  if (!suffix) return input;
  return (
    <div className="input-group">
      {input}
      <span className="input-suffix">{suffix}</span>
    </div>
  );
}

/**
 * Keeps its width and name while busy; off, with the reason in reach, while the connection is gone. `name` is the whole
 * name of one in a row. One that `agrees` to what a preview shows needs one, of what all fields hold now.
 */
export function SubmitButton({ label, name, look = "primary", icon, busy: given = false, disabled = false, agrees, act, onPress, texts }) {
  const form = useContext(FormContext);
  const lost = useSignal(connection) === "lost";
  const unseen = useUnseen() && agrees === true;
  const off = disabled || unseen || agrees === false;
  const [pressed, setPressed] = useState(false);
  const reason = useId();
  const busy = given || form.busy;
  useEffect(() => {
    if (!pressed) return undefined;
    const timer = setTimeout(() => setPressed(false), GUARD_MS);
    return () => clearTimeout(timer);
  }, [pressed]);
  const press = (event) => {
    // A second click or Enter while the first is under way must not act again.
    if (busy || lost || off || (pressed && onPress)) {
      event.preventDefault();
      return;
    }
    if (!onPress) return;
    setPressed(true);
    onPress();
  };
  return (
    <>
      <button
        type={onPress ? "button" : "submit"}
        className={`button ${look}`}
        data-act={act}
        aria-busy={busy || undefined}
        aria-label={name || (busy ? label : undefined)}
        aria-disabled={busy || lost || off || undefined}
        aria-describedby={lost || unseen ? reason : undefined}
        onClick={press}
      >
        <span className="button-label">
          {icon && <Icon name={icon} />}
          {label}
        </span>
        {busy && <Icon name="loader-circle" className="spinner" />}
      </button>
      {(lost || unseen) && (
        <span className={name ? "visually-hidden" : "small faint"} id={reason}>
          {lost ? texts.lost : texts.unseen}
        </span>
      )}
    </>
  );
}
