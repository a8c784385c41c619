// How many notifications wait, wherever one is.
import { Link } from "react-router";
import { Icon } from "./icon.jsx";
import { useLive } from "./live.jsx";
import { fillMessage } from "./messages.js";

/** `initial` is the count at first paint; `most` is shown as "so many or more". */
export function Bell({ href, topic, initial, most, text }) {
  const count = Number(useLive(topic, "unread", initial) ?? 0);
  return (
    <Link to={href} className="button quiet square bell" aria-label={fillMessage(text, { count })}>
      <Icon name="bell" size={20} />
      {count > 0 && (
        <span className="bell-count num" aria-hidden="true">
          {count >= most ? `${most}+` : count}
        </span>
      )}
    </Link>
  );
}
