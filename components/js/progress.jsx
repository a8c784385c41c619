// How far something is that takes longer than a look.
import { useLive } from "./live.jsx";
import { Icon } from "./icon.jsx";
import { fillMessage } from "./messages.js";

const ICONS = { done: "circle-check", failed: "circle-alert", cancelled: "ban", waiting: "clock" };

/**
 * `done` of `total` steps; without `total` only that it goes on. `status`: waiting, running, done, failed, cancelled.
 * With a topic all three follow what is at `path`: {done, total, status, detail}.
 */
export function Progress({ label, done, total, status = "running", detail, topic, path, texts }) {
  const now = useLive(topic, path, null) ?? { done, total, status, detail };
  const known = Number(now.total) > 0;
  const share = known ? Math.min(1, Math.max(0, Number(now.done ?? 0) / Number(now.total))) : null;
  const isRunning = now.status === "running" || now.status === "waiting";
  const words = isRunning && known ? fillMessage(texts.of, { done: Number(now.done ?? 0), total: Number(now.total) }) : texts[now.status];
  const value = share === null ? {} : { "aria-valuenow": Math.round(share * 100), "aria-valuemin": 0, "aria-valuemax": 100 };
  return (
    <div className="progress" data-status={now.status}>
      <p className="progress-head">
        <span>{label}</span>
        <span className="progress-words num">
          {ICONS[now.status] && <Icon name={ICONS[now.status]} />}
          {words}
        </span>
      </p>
      <div className="progress-track" role="progressbar" aria-label={label} aria-valuetext={words} {...value}>
        <div className={`progress-bar ${share === null && isRunning ? "unknown" : ""}`} style={share === null ? undefined : { inlineSize: `${share * 100}%` }} />
      </div>
      {now.detail && <p className="hint">{now.detail}</p>}
    </div>
  );
}
