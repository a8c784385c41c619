// Small stores outside React: what the whole window knows, readable by any component.
import { useSyncExternalStore } from "react";

export function signal(initial) {
  let value = initial;
  const listeners = new Set();
  return {
    get: () => value,
    set(next) {
      const changed = typeof next === "function" ? next(value) : next;
      if (Object.is(changed, value)) return;
      value = changed;
      listeners.forEach((listener) => listener());
    },
    subscribe(listener) {
      listeners.add(listener);
      return () => listeners.delete(listener);
    },
  };
}

export function useSignal(source) {
  return useSyncExternalStore(source.subscribe, source.get, source.get);
}

/** "up", or "lost" once the page's socket has been gone for three seconds. */
export const connection = signal("up");

/** Toasts on screen, oldest first: {id, level, title, description, duration, action}. */
export const toasts = signal([]);

const TOASTS_MAX = 4;
const SUCCESS_MS = 6000;
let serial = 0;

function show(level, message, options = {}) {
  const title = options.title ?? message;
  const description = options.title ? (options.description ?? message) : options.description;
  // What needs reading again stays until it is closed; good news leaves by itself.
  const stays = level === "error" || level === "warning";
  const toast = {
    id: options.id ?? `toast-${++serial}`,
    level,
    title,
    description: description || "",
    duration: options.duration ?? (stays ? null : SUCCESS_MS),
    action: options.action,
  };
  toasts.set((shown) => [...shown.filter((other) => other.id !== toast.id), toast].slice(-TOASTS_MAX));
  return toast.id;
}

export function dismissToast(id) {
  toasts.set((shown) => (id === undefined ? [] : shown.filter((toast) => toast.id !== id)));
}

/** Same calls as Reflex's own toaster, so that `rx.toast.success(...)` reaches our region. */
export const toast = Object.assign((message, options) => show("info", message, options), {
  info: (message, options) => show("info", message, options),
  success: (message, options) => show("success", message, options),
  warning: (message, options) => show("warning", message, options),
  error: (message, options) => show("error", message, options),
  loading: (message, options) => show("info", message, options),
  dismiss: dismissToast,
});
