// Figures that change while you look. What is shown equals what a reload would show.
import { useEffect, useRef, useState, useSyncExternalStore } from "react";
import { formatDate, formatValue, spokenMoney } from "./matrix_format.js";
import { announce, announcement, at, follow, freshness, topics } from "./live_store.js";
import { fillMessage } from "./messages.js";
import { useSignal } from "./signals.js";
import { Value } from "./value.jsx";

const FRESH_MS = 900;
const nothing = {};

function useTopic(topic) {
  useEffect(() => (topic ? follow(topic) : undefined), [topic]);
  const all = useSyncExternalStore(topics.subscribe, topics.get, () => nothing);
  return topic ? all[topic] : undefined;
}

/** The live value at `path`, or `initial` until the hub has spoken. */
export function useLive(topic, path, initial) {
  const known = useTopic(topic);
  if (!known) return initial;
  const value = at(known.data, path);
  return value === undefined ? initial : value;
}

export function LiveValue({ topic, path, initial, announceAs, announceText, className = "", ...format }) {
  const value = useLive(topic, path, initial);
  const previous = useRef(value);
  const [fresh, setFresh] = useState(false);
  useEffect(() => {
    const before = previous.current;
    previous.current = value;
    if (before === value || before === undefined || before === null || before === "") return undefined;
    setFresh(true);
    if (announceAs) {
      const words = { label: announceAs, value: format.kind === "money" ? spokenMoney(value, format.currency) : formatValue(format.kind, value, format) };
      announce(fillMessage(announceText, words));
    }
    const timer = setTimeout(() => setFresh(false), FRESH_MS);
    return () => clearTimeout(timer);
  }, [value]);
  return (
    <span className={`live-value ${className}`} data-fresh={fresh}>
      <Value value={value} {...format} />
    </span>
  );
}

/** Says how current the live figures of `topic` are. */
export function LiveStatus({ topic, zone, texts }) {
  const known = useTopic(topic);
  const now = useSignal(freshness);
  const [mounted, setMounted] = useState(false);
  useEffect(() => setMounted(true), []);
  const late = now.behind[topic];
  const state = now.refused[topic] ? "refused" : late ? "behind" : now.state;
  const shown = mounted ? (state === "live" && !known ? "connecting" : state) : "connecting";
  const clock = (instant) => formatDate(instant, "second", zone);
  const words = {
    connecting: () => texts.connecting,
    live: () => `${texts.on} \u00b7 ${fillMessage(texts.as_of, { time: clock(now.heard) })}`,
    behind: () => (late || now.heard ? fillMessage(texts.behind, { time: clock(late ?? now.heard) }) : texts.behind_unknown),
    refused: () => texts.refused,
  };
  useEffect(() => {
    if (shown === "behind") announce(words.behind());
  }, [shown]);
  return (
    <p className="live-status num" data-state={shown}>
      <span className="live-dot" aria-hidden="true" />
      {words[shown]()}
    </p>
  );
}

/**
 * Tells the page that `topic` changed and its rows should be read again: `wait` ms after the last change of a burst, but
 * not later than `longest` ms after its first one. `since` is when the page read them: a first message that is older
 * says nothing new.
 */
export function LiveRefresh({ topic, path, since, wait = 300, longest = 1000, onChange }) {
  const known = useTopic(topic);
  const seen = useRef(null);
  const timer = useRef(null);
  const began = useRef(null);
  const handler = useRef(onChange);
  handler.current = onChange;
  const part = known ? JSON.stringify(path ? at(known.data, path) : known.version) : null;
  useEffect(() => {
    if (part === null || part === seen.current) return;
    const first = seen.current === null;
    seen.current = part;
    if (first && !(since && new Date(known.at) > new Date(since))) return;
    const now = performance.now();
    began.current ??= now;
    clearTimeout(timer.current);
    timer.current = setTimeout(() => {
      began.current = null;
      handler.current?.();
    }, Math.min(wait, Math.max(0, began.current + longest - now)));
  }, [part, since, wait, longest]);
  useEffect(() => () => clearTimeout(timer.current), []);
  return null;
}

/** Speaks changes to screen readers; one per window, in the first HTML. */
export function Announcer() {
  const words = useSignal(announcement);
  return (
    <div className="visually-hidden" role="status">
      {words}
    </div>
  );
}
