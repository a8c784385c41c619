// The gallery as the address asks for it: ?locale=pseudo, ?dir=rtl, ?density=compact or touch, ?connection=lost.
import { Children, useEffect, useMemo } from "react";
import { Link, useLocation } from "react-router";
import { connection, useSignal } from "./signals.js";

const CHOICES = { locale: ["en", "pseudo"], dir: ["ltr", "rtl"], density: ["default", "compact", "touch"], connection: ["up", "lost"] };
// English in a script that runs from right to left: React Aria's arrow keys follow, and figures stay as they are.
const LANGUAGES = { en: { ltr: "en", rtl: "en-Arab" }, pseudo: { ltr: "en-XA", rtl: "en-Arab-XA" } };

function lookOf(search) {
  const asked = new URLSearchParams(search);
  return Object.fromEntries(Object.entries(CHOICES).map(([key, known]) => [key, known.includes(asked.get(key)) ? asked.get(key) : known[0]]));
}

function apply({ locale, dir, density }) {
  const root = document.documentElement;
  root.lang = LANGUAGES[locale][dir];
  root.dir = dir;
  root.dataset.density = density;
  window[Symbol.for("react-aria.i18n.locale")] = root.lang;
  window.dispatchEvent(new Event("languagechange"));
}

/** Two children, the second in the pseudo-locale. What is formatted while they are drawn needs the language set before. */
export function GalleryFrame({ children }) {
  const { search } = useLocation();
  const look = lookOf(search);
  const key = JSON.stringify(look);
  useMemo(() => apply(look), [key]);
  useEffect(() => () => apply(lookOf("")), []);
  const isLost = look.connection === "lost";
  const state = useSignal(connection);
  useEffect(() => {
    if (isLost) connection.set("lost"); // whatever the socket says
  }, [isLost, state]);
  useEffect(() => () => isLost && connection.set("up"), [isLost]);
  return Children.toArray(children)[look.locale === "pseudo" ? 1 : 0];
}

/** Links from one look to the others. */
export function GalleryLooks({ texts }) {
  const look = lookOf(useLocation().search);
  return (
    <nav className="gallery-looks" aria-label={texts.label}>
      {Object.entries(CHOICES).map(([key, known]) => (
        <p key={key}>
          <span className="faint">{texts[key]}</span>
          {known.map((value) => (
            <Link key={value} to={{ search: String(new URLSearchParams({ ...look, [key]: value })) }} aria-current={look[key] === value ? "true" : undefined}>
              {texts[value]}
            </Link>
          ))}
        </p>
      ))}
    </nav>
  );
}
