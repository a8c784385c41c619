// The buttons of tooltips.jsx, of React Aria.
import { Button, Tooltip, TooltipTrigger } from "react-aria-components";
import { Icon } from "./icon.jsx";

export function IconButton({ label, icon, look, onPress, disabled = false }) {
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
