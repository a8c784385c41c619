// What was typed and not sent is not lost by a slip.
import { useEffect } from "react";
import { useBlocker } from "react-router";

/** Asks before what was typed is left behind, by a link of ours, by Back or by closing the window. */
export function LeaveGuard({ dirty, text }) {
  const blocker = useBlocker(({ currentLocation, nextLocation }) => dirty && currentLocation.pathname !== nextLocation.pathname);
  useEffect(() => {
    if (!dirty) return undefined;
    const ask = (event) => event.preventDefault();
    window.addEventListener("beforeunload", ask);
    return () => window.removeEventListener("beforeunload", ask);
  }, [dirty]);
  useEffect(() => {
    if (blocker.state !== "blocked") return;
    if (window.confirm(text)) blocker.proceed();
    else blocker.reset();
  }, [blocker, text]);
  return null;
}
