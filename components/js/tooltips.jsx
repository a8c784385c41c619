// Names and explanations that appear on hover and focus, stay while pointed at, and leave with Escape.
import { Button, Tooltip, TooltipTrigger } from "react-aria-components";
import { Icon } from "./icon.jsx";

/** A button known by its icon. */
export function IconButton({ label, icon, look = "quiet", onPress, disabled = false }) {
  return (
    <TooltipTrigger delay={400} closeDelay={80}>
      <Button className={`button square compact ${look}`} aria-label={label} isDisabled={disabled} onPress={() => onPress?.()}>
        <Icon name={icon} />
      </Button>
      <Tooltip className="tooltip" offset={6}>
        {label}
      </Tooltip>
    </TooltipTrigger>
  );
}

/** An explanation behind a small "i"; it says nothing that a person needs in order to go on. */
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
