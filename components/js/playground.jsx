// A conversation with a model through the gateway, from the browser. Text stays text: nothing is read as HTML.
import { useEffect, useRef, useState } from "react";
import { streamCompletion } from "./completion_stream.js";
import { CopyButton } from "./copy.jsx";
import { Icon } from "./icon.jsx";
import { announce } from "./live_store.js";
import { formatDuration, formatTokens } from "./matrix_format.js";
import { fillMessage } from "./messages.js";
import { connection, useSignal } from "./signals.js";

const NEAR_END_PX = 48;

export function Playground({ models, model: given, organization, url = "/v1/chat/completions", maxTokens: limit = 512, texts, copyTexts, onAnswered }) {
  const [turns, setTurns] = useState([]);
  const [draft, setDraft] = useState("");
  const [missing, setMissing] = useState(false);
  const [settings, setSettings] = useState({ system: "", temperature: 0.7, maxTokens: limit });
  const [model, setModel] = useState(given ?? "");
  const [running, setRunning] = useState(null);
  const input = useRef(null);
  const chosen = model || models?.[0]?.id || "";
  const lost = useSignal(connection) === "lost";

  useEffect(() => () => running?.abort(), [running]);

  const patchLast = (patch) => setTurns((all) => [...all.slice(0, -1), { ...all.at(-1), ...patch(all.at(-1)) }]);

  async function send() {
    if (running) return;
    setMissing(!draft.trim());
    if (!draft.trim() || !chosen) {
      input.current?.focus();
      return;
    }
    const asked = [...turns.filter((turn) => turn.text && !turn.error), { role: "user", text: draft.trim() }];
    const messages = asked.map((turn) => ({ role: turn.role, content: turn.text }));
    if (settings.system.trim()) messages.unshift({ role: "system", content: settings.system.trim() });
    const request = { model: chosen, messages, temperature: Number(settings.temperature), max_tokens: Number(settings.maxTokens) || limit };
    const abort = new AbortController();
    const began = performance.now();
    setTurns([...turns, { role: "user", text: draft.trim() }, { role: "assistant", model: chosen, text: "", running: true }]);
    setDraft("");
    setRunning(abort);
    try {
      const onText = (piece) => patchLast((turn) => ({ text: turn.text + piece }));
      const result = await streamCompletion(url, { request, organization, signal: abort.signal, unreachable: texts.unreachable, onText });
      const broken = result.complete || result.finish ? "" : texts.broken;
      patchLast(() => ({ running: false, ...result, duration: performance.now() - began, error: broken }));
      announce(texts.answered);
      onAnswered?.(result.requestId);
    } catch (problem) {
      const stopped = problem.name === "AbortError";
      patchLast(() => ({ running: false, stopped, error: stopped ? "" : (problem.sentence ?? texts.broken), requestId: problem.reference ?? "" }));
      if (!stopped) announce(texts.failed);
    } finally {
      setRunning(null);
      input.current?.focus();
    }
  }

  const onKeyDown = (event) => {
    if (event.key !== "Enter" || !(event.ctrlKey || event.metaKey) || event.nativeEvent.isComposing) return;
    event.preventDefault();
    send();
  };
  const set = (name) => (event) => setSettings({ ...settings, [name]: event.target.value });

  return (
    <div className="playground">
      <div className="playground-talk">
        <Conversation turns={turns} texts={texts} copyTexts={copyTexts} />
        <div className="field">
          <label className="label" htmlFor="playground-message">
            {texts.message}
          </label>
          <p className="hint" id="playground-hint">
            {texts.message_hint}
          </p>
          <textarea
            id="playground-message"
            ref={input}
            className="input"
            rows={4}
            value={draft}
            aria-describedby={missing ? "playground-hint playground-error" : "playground-hint"}
            aria-invalid={missing || undefined}
            onChange={(event) => {
              setDraft(event.target.value);
              setMissing(false);
            }}
            onKeyDown={onKeyDown}
          />
          {missing && (
            <p className="field-error" id="playground-error">
              <Icon name="circle-alert" />
              {texts.need_message}
            </p>
          )}
        </div>
        <div className="row">
          {running ? (
            <button type="button" className="button" onClick={() => running.abort()}>
              <Icon name="square" />
              {texts.stop}
            </button>
          ) : (
            <button type="button" className="button primary" aria-disabled={lost || !chosen || undefined} onClick={() => !lost && send()}>
              <Icon name="send" />
              {texts.send}
            </button>
          )}
          {turns.length > 0 && !running && (
            <button type="button" className="button quiet" onClick={() => setTurns([])}>
              {texts.clear}
            </button>
          )}
        </div>
      </div>
      <Settings models={models} model={chosen} onModel={setModel} settings={settings} set={set} texts={texts} />
    </div>
  );
}

function Settings({ models, model, onModel, settings, set, texts }) {
  return (
    <fieldset className="card playground-settings">
      <legend className="visually-hidden">{texts.settings}</legend>
      <div className="field">
        <label className="label" htmlFor="playground-model">
          {texts.model}
        </label>
        {models?.length ? (
          <div className="select">
            <select id="playground-model" className="input" value={model} onChange={(event) => onModel(event.target.value)}>
              {models.map((one) => (
                <option key={one.id} value={one.id}>
                  {one.label}
                </option>
              ))}
            </select>
            <Icon name="chevron-down" />
          </div>
        ) : (
          <p className="hint">{texts.no_models}</p>
        )}
      </div>
      <div className="field">
        <label className="label" htmlFor="playground-system">
          {texts.system} <span className="optional">{texts.optional}</span>
        </label>
        <textarea id="playground-system" className="input" rows={3} value={settings.system} onChange={set("system")} />
      </div>
      <NumberSetting id="temperature" label={texts.temperature} hint={texts.temperature_hint} min={0} max={2} step={0.1} value={settings.temperature} onChange={set("temperature")} />
      <NumberSetting id="max-tokens" label={texts.max_tokens} suffix={texts.tokens_unit} min={1} max={32768} step={1} value={settings.maxTokens} onChange={set("maxTokens")} />
    </fieldset>
  );
}

function NumberSetting({ id, label, hint, suffix, ...input }) {
  return (
    <div className="field">
      <label className="label" htmlFor={`playground-${id}`}>
        {label}
      </label>
      {hint && (
        <p className="hint" id={`playground-${id}-hint`}>
          {hint}
        </p>
      )}
      <div className="input-group">
        <input id={`playground-${id}`} type="number" className="input" aria-describedby={hint ? `playground-${id}-hint` : undefined} {...input} />
        {suffix && <span className="input-suffix">{suffix}</span>}
      </div>
    </div>
  );
}

function Conversation({ turns, texts, copyTexts }) {
  const frame = useRef(null);
  const follows = useRef(true);
  const onScroll = () => {
    const { scrollHeight, scrollTop, clientHeight } = frame.current;
    follows.current = scrollHeight - scrollTop - clientHeight < NEAR_END_PX;
  };
  // Follows the words while the reader is at the end, and leaves them alone when they scrolled up.
  useEffect(() => {
    if (follows.current && frame.current) frame.current.scrollTop = frame.current.scrollHeight;
  }, [turns]);
  return (
    <div className="turns" ref={frame} onScroll={onScroll} tabIndex={0} role="region" aria-label={texts.conversation}>
      {turns.length === 0 && <p className="faint">{texts.empty}</p>}
      {turns.map((turn, index) => (
        <Turn key={index} turn={turn} texts={texts} copyTexts={copyTexts} />
      ))}
    </div>
  );
}

function Turn({ turn, texts, copyTexts }) {
  return (
    <article className={`turn turn-${turn.role}`} aria-busy={turn.running || undefined}>
      <p className="turn-who">{turn.role === "user" ? texts.you : turn.model}</p>
      {turn.text && <p className="turn-text">{turn.text}</p>}
      {turn.running && !turn.text && <p className="turn-wait">{texts.answering}</p>}
      {turn.stopped && <p className="turn-note">{texts.stopped}</p>}
      {turn.error && (
        <p className="turn-error">
          <Icon name="circle-alert" />
          <span>
            {texts.failed}: {turn.error}
          </span>
        </p>
      )}
      {turn.usage && (
        <p className="turn-note num">
          {fillMessage(texts.usage, {
            prompt: turn.usage.prompt_tokens,
            completion: formatTokens(turn.usage.completion_tokens),
            duration: formatDuration(turn.duration),
          })}
        </p>
      )}
      {turn.requestId && (
        <p className="turn-note copyable">
          <span>
            {texts.request} <code>{turn.requestId}</code>
          </span>
          <CopyButton text={turn.requestId} label={texts.copy_request} texts={copyTexts} />
        </p>
      )}
    </article>
  );
}
