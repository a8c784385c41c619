// Whoever works by keyboard is never left nowhere. What has the focus may go away: a button whose act is done, the row it
// stood in. Then the focus moves to what is left around it that can have it, or else to the page's heading. A button that is
// switched off, as "Next" on the last page, leaves it to the one beside it.
import { useEffect } from "react";

const FRAMES = 3; // a dialog that closes gives the focus back by itself first

function around(element) {
  const found = [];
  for (let at = element.parentElement; at && at.id !== "content"; at = at.parentElement) found.push(at);
  return found;
}

export function FocusKeeper() {
  useEffect(() => {
    let last = null;
    let near = [];
    let waits = false;

    const isGone = (element) => !element.isConnected || element.disabled;
    const nowhere = () => last && isGone(last) && document.activeElement === document.body;
    const beside = () => last.disabled && last.isConnected && near[0]?.querySelector("button:not(:disabled)");
    const move = () => {
      waits = false;
      if (!nowhere() || document.querySelector(".overlay, .popover")) return;
      const left = beside() || near.find((one) => one.isConnected && one.hasAttribute("tabindex"));
      (left ?? document.querySelector("main h1") ?? document.getElementById("content"))?.focus({ preventScroll: !left });
    };
    const later = (frames) => requestAnimationFrame(() => (frames > 1 ? later(frames - 1) : move()));
    const entered = ({ target }) => {
      last = target;
      near = around(target);
    };
    const left = ({ target, relatedTarget }) => {
      // Somebody clicked beside it, or went to another window: nothing was taken from them.
      if (!relatedTarget) setTimeout(() => target === last && !isGone(target) && (last = null));
    };
    const watch = new MutationObserver(() => {
      // A button that was switched off has the focus until the next frame: then it has to be looked at again.
      if (waits || !last || !isGone(last)) return;
      waits = true;
      later(FRAMES);
    });

    document.addEventListener("focusin", entered);
    document.addEventListener("focusout", left);
    watch.observe(document.body, { childList: true, subtree: true, attributeFilter: ["disabled"] });
    return () => {
      document.removeEventListener("focusin", entered);
      document.removeEventListener("focusout", left);
      watch.disconnect();
    };
  }, []);
  return null;
}
