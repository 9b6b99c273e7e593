/** Waiting in the light page of a space. */
import { numbers, say, speak } from "../page/text";
import { by, put } from "../page/view";
import type { Told } from "../player/ticket";
import type { Language } from "../text/language";
import { calendar, IN_MS, playsDelayed, until, words } from "./wait";

/** Says that it is their turn to whoever waited. */
let entered: HTMLElement | undefined;

/** Until it is time, until somebody stops, or until they would rather hear the delayed stream. */
export async function queue(space: { title: string; recording?: string }, told: Told, signal: AbortSignal): Promise<"delayed" | void> {
  const speech = () => speak(document.documentElement.lang as Language);
  const line = document.createElement("p");
  line.className = "elsewhere";
  if (told.stage === "rank") by("notice").after(line);
  const link = document.createElement("a");
  [link.download, link.id, link.href] = ["hiwar.ics", "calendar", calendar(space.title, location.href, Date.now() + told.wait_ms)];
  line.append(link);
  const [leave, gone] = [new AbortController(), new AbortController()];
  const later = told.stage === "rank" && told.elsewhere ? document.createElement("a") : undefined;
  if (later) {
    [later.id, later.href] = ["delayed", told.elsewhere!];
    later.addEventListener("click", (press) => {
      if (!playsDelayed(by("audio"))) return;
      press.preventDefault();
      gone.abort();
      leave.abort();
    });
    const before = document.createElement("p");
    before.className = "elsewhere";
    before.append(later);
    by("notice").after(before);
  }
  signal.addEventListener("abort", () => leave.abort(), { once: true });
  if (signal.aborted) leave.abort();
  if (!entered) {
    // There and empty before it says anything, or nobody hears it.
    entered = document.createElement("p");
    entered.className = "notice";
    entered.id = "entered";
    entered.setAttribute("role", "status");
    by("notice").after(entered);
    by("audio").addEventListener("playing", () => {
      // They would not wait.
      if (!entered) return;
      const begun = () => {
        speech();
        put("entered", say("page-wait-in"));
      };
      begun();
      by("lang").addEventListener("click", begun);
      const told = entered;
      entered = undefined;
      setTimeout(() => {
        by("lang").removeEventListener("click", begun);
        told.remove();
      }, IN_MS);
    }, { once: true });
  }
  let said = told.wait_ms;
  const tell = (left = said) => {
    said = left;
    speech();
    put("notice", words(told, left, say, numbers(), space.recording === "on"));
    link.textContent = say("page-wait-calendar");
    if (later) later.textContent = say("page-wait-delayed");
  };
  // After the page itself has turned.
  const turned = () => tell();
  by("lang").addEventListener("click", turned);
  await until(told, leave.signal, tell);
  by("lang").removeEventListener("click", turned);
  line.remove();
  later?.parentElement?.remove();
  if (!gone.signal.aborted) return;
  entered?.remove();
  entered = undefined;
  return "delayed";
}
