// Options of a combobox that are looked up while somebody types: the settled text is asked for, the latest answer wins.
import { useEffect, useRef, useState } from "react";
import { send } from "./request.js";

const SETTLE_MS = 250;

const optionOf = (row) => ({ id: String(row.id), label: row.label ?? row.name ?? String(row.id), detail: row.detail ?? row.email ?? "" });

/** {options, state: "ready" | "searching" | "failed", search(text)}; the text is put at the end of `searchUrl`, which answers {data: [...]}. */
export function useSearch({ options, searchUrl }) {
  const [found, setFound] = useState(null);
  const [state, setState] = useState("ready");
  const pending = useRef({ timer: null, abort: null });
  useEffect(() => () => stop(pending.current), []);
  const search = (text) => {
    stop(pending.current);
    if (!text.trim()) return forget();
    setState("searching");
    pending.current.timer = setTimeout(() => ask(text), SETTLE_MS);
  };
  function forget() {
    setFound(null);
    setState("ready");
  }
  async function ask(text) {
    const abort = new AbortController();
    pending.current.abort = abort;
    try {
      const answer = await send("GET", `${searchUrl}${encodeURIComponent(text)}`, { signal: abort.signal });
      setFound((answer?.data ?? []).map(optionOf));
      setState("ready");
    } catch (problem) {
      if (problem.name !== "AbortError") setState("failed");
    }
  }
  return { options: found ?? options ?? [], state, search: searchUrl ? search : null };
}

function stop(pending) {
  clearTimeout(pending.timer);
  pending.abort?.abort();
}
