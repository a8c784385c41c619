// Panels of which one is shown.
import { Children, lazy } from "react";
import { Deferred } from "./deferred.jsx";

const TabList = lazy(() => import("./tab_list.jsx"));

/** `tabs` are `{id, label}`; the children are their panels in the same order. */
export function Tabs({ children, ...frame }) {
  const panels = Children.toArray(children);
  const shown = panels[Math.max(0, frame.tabs.findIndex((tab) => tab.id === frame.selected))];
  const waiting = (
    <div className="tabs" aria-busy="true">
      {shown}
    </div>
  );
  return (
    <Deferred part={TabList} waiting={waiting} {...frame}>
      {children}
    </Deferred>
  );
}
