/** The row of reactions in the light page of a space: a script of its own, fetched when sound plays. */
import { numbers, say, speak } from "../page/text";
import type { Language } from "../text/language";
import { Row } from "./row";
import type { Rates } from "./kinds";
import styles from "./react.css?inline";

/** Puts it below the player. What it returns draws it: how often each was sent in the last second, and whether it is there. */
export function row(space: string, query: string): (rates: Rates | undefined, shown: boolean) => void {
  let last: Rates | undefined;
  const sheet = new CSSStyleSheet();
  sheet.replaceSync(styles);
  document.adoptedStyleSheets.push(sheet);
  speak(document.documentElement.lang as Language);
  const row = new Row({ space, query, mode: "press", say, numbers });
  document.getElementById("late")!.after(row.element);
  return (rates, shown) => {
    speak(document.documentElement.lang as Language);
    row.element.hidden = !shown;
    if (rates !== last) row.show((last = rates));
    else row.render();
  };
}
