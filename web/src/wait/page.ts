/** Waiting in the light page of a space. */
import { numbers, say, speak } from "../page/text";
import { by, put } from "../page/view";
import type { Told } from "../player/ticket";
import type { Language } from "../text/language";
import { calendar, IN_MS, until, words } from "./wait";

/** Says that it is their turn to whoever waited. */
let entered: HTMLElement | undefined;

/** Until it is time, or until somebody stops. */
export async function queue(space: { title: string; recording?: string }, told: Told, signal: AbortSignal): Promise<void> {
  const speech = () => speak(document.documentElement.lang as Language);
  const line = document.createElement("p");
  line.className = "elsewhere";
  if (told.stage === "rank") by("notice").after(line);
  const link = document.createElement("a");
  [link.download, link.id, link.href] = ["hiwar.ics", "calendar", calendar(space.title, location.href, Date.now() + told.wait_ms)];
  line.append(link);
  if (!entered) {
    // There and empty before it says anything, or nobody hears it.
    entered = document.createElement("p");
    entered.className = "notice";
    entered.id = "entered";
    entered.setAttribute("role", "status");
    by("notice").after(entered);
    by("audio").addEventListener("playing", () => {
      speech();
      put("entered", say("page-wait-in"));
      const told = entered;
      entered = undefined;
      setTimeout(() => told?.remove(), IN_MS);
    }, { once: true });
  }
  let said = told.wait_ms;
  const tell = (left = said) => {
    said = left;
    speech();
    put("notice", words(told, left, say, numbers(), space.recording === "on"));
    link.textContent = say("page-wait-calendar");
  };
  // After the page itself has turned.
  const turned = () => tell();
  by("lang").addEventListener("click", turned);
  await until(told, signal, tell);
  by("lang").removeEventListener("click", turned);
  line.remove();
}
