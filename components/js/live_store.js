// The client's copy of shared figures: one websocket for all topics of the page, kept while somebody reads them.
import { signal } from "./signals.js";

const SILENT_MS = 7000; // the server beats every two seconds; three missed beats mean that nothing is heard
const BEHIND_AFTER_MS = 3000;
const RETRY_MS = [250, 500, 1000, 2000, 5000, 10_000];
const ANNOUNCE_MS = 10_000;
const SIGN_IN_AGAIN = 4401;
const NO_RIGHT = 4403;

/** topic -> {version, at, data}; replaced on each change so that readers notice. */
export const topics = signal({});

/** How current the figures are: {state: "connecting" | "live" | "behind" | "refused", heard: ms | null, behind: {topic: since}}. */
export const freshness = signal({ state: "connecting", heard: null, behind: {}, refused: {} });

/** What a screen reader is told next, at most every ten seconds. */
export const announcement = signal("");

const readers = new Map();
let socket = null;
let failures = 0;
let retry = null;
let silence = null;
let doubt = null;
let signInPath = "/sign-in";

export function setSignInPath(path) {
  signInPath = path;
}

let spokenAt = 0;
let pendingWords = null;
export function announce(words) {
  const wait = spokenAt + ANNOUNCE_MS - Date.now();
  if (wait <= 0) {
    spokenAt = Date.now();
    announcement.set(words);
    return;
  }
  if (pendingWords === null) setTimeout(() => {
    const latest = pendingWords;
    pendingWords = null;
    announce(latest);
  }, wait);
  pendingWords = words;
}

/** Reads `topic` until the returned function is called. */
export function follow(topic) {
  readers.set(topic, (readers.get(topic) ?? 0) + 1);
  if (socket === null) connect();
  else if (readers.get(topic) === 1) say({ subscribe: [topic] });
  return () => {
    const left = readers.get(topic) - 1;
    if (left > 0) {
      readers.set(topic, left);
      return;
    }
    readers.delete(topic);
    say({ unsubscribe: [topic] });
    // A figure that nobody keeps current must not be shown as current to the next reader.
    topics.set(({ [topic]: _gone, ...rest }) => rest);
    queueMicrotask(() => readers.size === 0 && disconnect());
  };
}

function say(message) {
  if (socket?.readyState === WebSocket.OPEN) socket.send(JSON.stringify(message));
}

function connect() {
  clearTimeout(retry);
  retry = null;
  if (readers.size === 0 || typeof WebSocket === "undefined") return;
  const scheme = window.location.protocol === "https:" ? "wss" : "ws";
  const opened = new WebSocket(`${scheme}://${window.location.host}/live`);
  socket = opened;
  doubt ??= setTimeout(() => settle("behind"), BEHIND_AFTER_MS);
  opened.onopen = () => {
    failures = 0;
    say({ subscribe: [...readers.keys()] });
    listenForSilence();
  };
  opened.onmessage = (event) => {
    if (socket === opened) hear(JSON.parse(event.data));
  };
  opened.onclose = (event) => {
    if (socket === opened) lose(event.code);
  };
}

function disconnect() {
  clearTimeout(retry);
  clearTimeout(silence);
  clearTimeout(doubt);
  doubt = null;
  const closing = socket;
  socket = null;
  closing?.close(1000);
}

/** Opens the socket anew, with the cookie of now; the one it was opened with has been replaced. */
export function reopen() {
  if (socket === null) return;
  disconnect();
  connect();
}

function lose(code) {
  clearTimeout(silence);
  socket = null;
  if (code === SIGN_IN_AGAIN) {
    const here = window.location.pathname + window.location.search;
    window.location.assign(`${signInPath}?next=${encodeURIComponent(here)}`);
    return;
  }
  if (code === NO_RIGHT) {
    settle("refused");
    return;
  }
  doubt ??= setTimeout(() => settle("behind"), BEHIND_AFTER_MS);
  // Spread over time, so that a restarted server is not met by everybody at once.
  const base = RETRY_MS[Math.min(failures, RETRY_MS.length - 1)];
  failures += 1;
  retry = setTimeout(connect, base * (0.5 + Math.random()));
}

function settle(state) {
  clearTimeout(doubt);
  doubt = null;
  freshness.set((now) => ({ ...now, state }));
}

function listenForSilence() {
  clearTimeout(silence);
  silence = setTimeout(() => socket?.close(4000), SILENT_MS);
}

function hear(message) {
  listenForSilence();
  clearTimeout(doubt);
  doubt = null;
  const heard = Date.now();
  if (message.refused) {
    freshness.set((now) => ({ ...now, heard, refused: { ...now.refused, [message.refused]: message.message } }));
    return;
  }
  if (message.beat) {
    freshness.set((now) => ({ ...now, state: "live", heard, behind: message.behind ?? {} }));
    return;
  }
  freshness.set((now) => ({ ...now, state: "live", heard }));
  const known = topics.get()[message.topic];
  if (known && known.version >= message.version) return;
  const { topic, version, at, data } = message;
  topics.set((all) => ({ ...all, [topic]: { version, at, data } }));
}

if (typeof document !== "undefined") {
  // A laptop that wakes up should not wait for the next retry.
  const wake = () => {
    if (document.visibilityState === "visible" && socket === null && readers.size > 0 && freshness.get().state !== "refused") connect();
  };
  document.addEventListener("visibilitychange", wake);
  window.addEventListener("online", wake);
}

/** The value at "a.b.0.c" inside `data`. */
export function at(data, path) {
  if (!path) return data;
  return path.split(".").reduce((value, key) => (value === null || value === undefined ? undefined : value[key]), data);
}
