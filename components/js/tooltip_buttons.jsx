// The buttons of tooltips.jsx, of React Aria.
import { Button, Tooltip, TooltipTrigger } from "react-aria-components";
import { Icon } from "./icon.jsx";
import { connection, useSignal } from "./signals.js";

/** What it does is the page's: off, with the reason beside its name, while the connection is gone. */
export function IconButton({ label, icon, look, onPress, disabled = false, lostText }) {
  const lost = useSignal(connection) === "lost";
  return (
    <TooltipTrigger delay={400} closeDelay={80}>
      <Button
        className={`button square compact ${look}`}
        aria-label={label}
        aria-disabled={lost || undefined}
        isDisabled={disabled}
        onPress={() => !lost && onPress?.()}
      >
        <Icon name={icon} />
      </Button>
      <Tooltip className="tooltip" offset={6}>
        {lost ? `${label}. ${lostText}` : label}
      </Tooltip>
    </TooltipTrigger>
  );
}

export function InfoTip({ label, text }) {
  return (
    <TooltipTrigger delay={200} closeDelay={80}>
      <Button className="info-tip" aria-label={label}>
        <Icon name="info" />
      </Button>
      <Tooltip className="tooltip" offset={6}>
        {text}
      </Tooltip>
    </TooltipTrigger>
  );
}
