// A button that opens a menu. The menu itself, React Aria's, is fetched when the pointer or focus first nears the button,
// so that pages weigh nothing for what is rarely opened.
import { lazy, Suspense, useRef, useState } from "react";
import { Icon } from "./icon.jsx";
import { connection, useSignal } from "./signals.js";

const fetchPopover = () => import("./menu_popover.jsx");
const MenuPopover = lazy(fetchPopover);

/**
 * `items` are {id, label, detail?, icon?, href?, danger?, disabled?}; with `selected` one of them is ticked.
 * `onPick(item)` is told the chosen one. `header` stands above, `last` apart below.
 */
export function MenuButton({ label, name, className, placement = "bottom end", items, selected, header, last, onPick, children }) {
  const [open, setOpen] = useState(false);
  const button = useRef(null);
  const onKeyDown = (event) => {
    if (event.key !== "ArrowDown" && event.key !== "ArrowUp") return;
    event.preventDefault();
    setOpen(true);
  };
  return (
    <>
      <button
        ref={button}
        type="button"
        className={className}
        aria-label={name}
        aria-haspopup="menu"
        aria-expanded={open}
        onPointerEnter={fetchPopover}
        onFocus={fetchPopover}
        onKeyDown={onKeyDown}
        onClick={() => setOpen(!open)}
      >
        {children}
      </button>
      {open && (
        <Suspense fallback={null}>
          <MenuPopover
            button={button}
            label={label}
            placement={placement}
            items={items}
            selected={selected}
            header={header}
            last={last}
            onPick={onPick}
            onClose={() => setOpen(false)}
          />
        </Suspense>
      )}
    </>
  );
}

/** Acts are the page's: off, each with the reason, while the connection is gone; links are not. */
export function ActionMenu({ label, icon = "ellipsis", look = "quiet", showLabel = false, items, lostText, onAction }) {
  const lost = useSignal(connection) === "lost";
  const offered = (items ?? []).map((item) => (lost && !item.href ? { ...item, disabled: true, detail: lostText } : item));
  return (
    <MenuButton
      label={label}
      name={showLabel ? undefined : label}
      className={`button ${look} ${showLabel ? "" : "square compact"}`}
      items={offered}
      onPick={(item) => onAction?.(item.id)}
    >
      {showLabel && label}
      <Icon name={showLabel ? "chevron-down" : icon} />
    </MenuButton>
  );
}
