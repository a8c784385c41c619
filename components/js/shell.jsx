// What every page shares: toasts, the connection banner, focus and title on route change, theme, navigation, menus.
import { useContext, useEffect, useRef, useState } from "react";
import { useLocation, useNavigate, useNavigationType } from "react-router";
import { ColorModeContext, EventLoopContext } from "$/utils/context-registry";
import { refs } from "$/utils/state";
import { FocusKeeper } from "./focus_keeper.jsx";
import { Icon } from "./icon.jsx";
import { Announcer } from "./live.jsx";
import { locale } from "./matrix_format.js";
import { MenuButton } from "./menu.jsx";
import { ownPath, send } from "./request.js";
import { connection, dismissToast, toast, toasts, useSignal } from "./signals.js";

const LOST_AFTER_MS = 3000;

// React Aria would speak the browser's language; it speaks the page's.
if (typeof window !== "undefined") window[Symbol.for("react-aria.i18n.locale")] = locale();

/* ---- once per window ---- */

export function Runtime({ texts }) {
  return (
    <>
      <ConnectionBanner text={texts.lost} />
      <Toasts texts={texts} />
      <Announcer />
      <RouteFocus />
      <FocusKeeper />
      <ThemeKeeper />
    </>
  );
}

/** Reads stay possible while the socket is gone; writes are switched off by the buttons that make them. */
function ConnectionBanner({ text }) {
  const [, errors] = useContext(EventLoopContext) ?? [null, []];
  const failing = errors.length > 0;
  const state = useSignal(connection);
  useEffect(() => {
    if (!failing) {
      connection.set("up");
      return undefined;
    }
    const timer = setTimeout(() => connection.set("lost"), LOST_AFTER_MS);
    return () => clearTimeout(timer);
  }, [failing]);
  return (
    <div className="connection" role="status" data-state={state}>
      {state === "lost" && (
        <p>
          <Icon name="wifi-off" />
          {text}
        </p>
      )}
    </div>
  );
}

const TOAST_ICON = { success: "circle-check", error: "circle-alert", warning: "triangle-alert", info: "info" };

function Toasts({ texts }) {
  const shown = useSignal(toasts);
  refs["__toast"] = toast; // what rx.toast.* calls
  return (
    <div className="toasts" role="status" aria-live="polite" aria-atomic="false" aria-label={texts.notifications}>
      {shown.map((entry) => (
        <Toast key={entry.id} entry={entry} texts={texts} />
      ))}
    </div>
  );
}

function Toast({ entry, texts }) {
  const [held, setHeld] = useState(false);
  useEffect(() => {
    if (held || entry.duration === null) return undefined;
    const timer = setTimeout(() => dismissToast(entry.id), entry.duration);
    return () => clearTimeout(timer);
  }, [held, entry]);
  const hold = { onMouseEnter: () => setHeld(true), onMouseLeave: () => setHeld(false), onFocus: () => setHeld(true), onBlur: () => setHeld(false) };
  const close = () => {
    dismissToast(entry.id);
    document.getElementById("content")?.focus({ preventScroll: true });
  };
  return (
    <div className={`toast tone-${entry.level}`} {...hold}>
      <Icon name={TOAST_ICON[entry.level]} size={20} />
      <div>
        <p className="toast-title">
          <span className="visually-hidden">{texts[entry.level]}: </span>
          {entry.title}
        </p>
        {entry.description && <p className="toast-text">{entry.description}</p>}
      </div>
      <button type="button" className="button quiet square compact" aria-label={texts.close} onClick={close}>
        <Icon name="x" />
      </button>
    </div>
  );
}

/** After a client-side navigation the new heading has the focus, as it would after a load. */
function RouteFocus() {
  const { pathname, hash } = useLocation();
  const kind = useNavigationType();
  const previous = useRef(pathname);
  useEffect(() => {
    if (previous.current === pathname) return;
    previous.current = pathname;
    if (hash) return;
    const heading = document.querySelector("main h1") ?? document.getElementById("content");
    if (!heading) return;
    heading.setAttribute("tabindex", "-1");
    heading.focus({ preventScroll: true });
    if (kind !== "POP") window.scrollTo(0, 0);
  }, [pathname, hash, kind]);
  return null;
}

/** Follows the system and other tabs; the first value was set by the script in the head, before first paint. */
function ThemeKeeper() {
  useEffect(() => {
    const apply = () => window.matrixTheme?.apply();
    apply();
    const system = window.matchMedia("(prefers-color-scheme: dark)");
    system.addEventListener("change", apply);
    window.addEventListener("storage", apply);
    return () => {
      system.removeEventListener("change", apply);
      window.removeEventListener("storage", apply);
    };
  }, []);
  return null;
}

export function SkipLink({ label }) {
  const skip = (event) => {
    event.preventDefault();
    document.getElementById("content")?.focus();
  };
  return (
    <a className="skip-link" href="#content" onClick={skip}>
      {label}
    </a>
  );
}

export function PageTitle({ title, organization, product }) {
  useEffect(() => {
    document.title = [title, organization, product].filter(Boolean).join(" \u00b7 ");
  }, [title, organization, product]);
  return null;
}

/* ---- the top bar ---- */

export function ThemeSwitch({ texts }) {
  const { rawColorMode, setColorMode } = useContext(ColorModeContext);
  const choose = ({ id }) => {
    setColorMode(id);
    window.matrixTheme?.choose(id);
  };
  const items = [
    { id: "system", label: texts.system, icon: "monitor" },
    { id: "light", label: texts.light, icon: "sun" },
    { id: "dark", label: texts.dark, icon: "moon" },
  ];
  return (
    <MenuButton className="button quiet square" label={texts.label} name={texts.label} items={items} selected={rawColorMode} onPick={choose}>
      <Icon name="sun" className="only-light" />
      <Icon name="moon" className="only-dark" />
    </MenuButton>
  );
}

/** Leaves by a full navigation: the socket's headers are frozen, so a new session needs a new page. */
async function postAndLeave(url, body, destination, texts) {
  try {
    const answer = await send("POST", url, { body, unreachable: texts.unreachable });
    window.location.assign(ownPath(answer?.next, destination));
  } catch (problem) {
    toast.error(problem.message, { description: problem.nextStep });
  }
}

/** A console or organisation name that opens the list of the others; plain text when there is only one. */
export function Switcher({ label, current, items, switchUrl, field, destination = "/", texts, className = "" }) {
  const navigate = useNavigate();
  const others = items ?? [];
  const chosen = others.find((item) => item.id === current);
  const name = chosen?.label ?? "";
  if (others.length < 2) return name ? <span className={`switcher ${className}`}>{name}</span> : null;
  const pick = (item) => {
    if (item.id === current) return;
    if (item.href) navigate(item.href);
    else postAndLeave(switchUrl, { [field]: item.id }, destination, texts);
  };
  return (
    <MenuButton
      className={`switcher button quiet ${className}`}
      label={label}
      name={`${label}: ${name}`}
      placement="bottom start"
      items={others}
      selected={current}
      onPick={pick}
    >
      <span className="switcher-name">{name}</span>
      <Icon name="chevrons-up-down" />
    </MenuButton>
  );
}

export function AccountMenu({ name, email, items, signOutUrl, signInPath, texts }) {
  const navigate = useNavigate();
  const act = (item) => {
    if (item.href) navigate(item.href);
    else postAndLeave(signOutUrl, {}, signInPath, texts);
  };
  const initial = (name || email || "?").trim().slice(0, 1).toUpperCase();
  return (
    <MenuButton
      className="button quiet square"
      label={texts.account}
      name={`${texts.account}: ${name || email || ""}`}
      items={(items ?? []).map((item) => ({ ...item, id: item.href }))}
      header={{ title: name, text: email }}
      last={{ id: "sign-out", label: texts.signOut, icon: "log-out" }}
      onPick={act}
    >
      <span className="avatar" aria-hidden="true">
        {initial}
      </span>
    </MenuButton>
  );
}

/* ---- navigation: a column, or on a phone a bar of four and "More" that unfolds the rest ---- */

export function MainNav({ label, texts, children }) {
  const [open, setOpen] = useState(false);
  const button = useRef(null);
  const close = () => setOpen(false);
  const onKeyDown = (event) => {
    if (event.key !== "Escape" || !open) return;
    close();
    button.current?.focus();
  };
  const onBlur = (event) => {
    if (!event.currentTarget.contains(event.relatedTarget)) close();
  };
  return (
    <nav className="side" aria-label={label} data-open={open} onKeyDown={onKeyDown} onBlur={onBlur}>
      <div className="side-groups" id="side-groups">
        {children}
      </div>
      <button
        ref={button}
        type="button"
        className="side-more"
        aria-expanded={open}
        aria-controls="side-groups"
        onClick={() => setOpen(!open)}
      >
        <Icon name={open ? "x" : "menu"} size={20} />
        <span>{open ? texts.less : texts.more}</span>
      </button>
    </nav>
  );
}
