// The tabs of tabs.jsx, of React Aria.
import { Children } from "react";
import { Tab, TabList, TabPanel, Tabs as AriaTabs } from "react-aria-components";

export default function TabsOfAria({ label, tabs, selected, onChange, children }) {
  const panels = Children.toArray(children);
  const control = selected === undefined || selected === null ? {} : { selectedKey: selected };
  return (
    <AriaTabs className="tabs" {...control} onSelectionChange={(key) => onChange?.(String(key))}>
      <TabList className="tab-list" aria-label={label}>
        {tabs.map((tab) => (
          <Tab key={tab.id} id={tab.id} className="tab">
            {tab.label}
          </Tab>
        ))}
      </TabList>
      {tabs.map((tab, index) => (
        <TabPanel key={tab.id} id={tab.id} className="tab-panel">
          {panels[index]}
        </TabPanel>
      ))}
    </AriaTabs>
  );
}
