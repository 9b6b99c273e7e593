/** A link to be handed on: to be seen, marked and copied. */
import { say } from "../page/text";

/** Makes one in `place`, called by the message `key`. */
export function share(place: HTMLElement, key: string): { show(link: string): void; render(): void } {
  place.innerHTML = `<div class="share"><input readonly dir="ltr"><button class="word"></button></div><p role="status"></p>`;
  const [input, button, said] = [place.querySelector("input")!, place.querySelector("button")!, place.querySelector("p")!];
  input.onfocus = () => input.select();
  let outcome: string | null = null;
  const tell = (how: string | null) => {
    outcome = how;
    const text = how ? say(how) : "";
    if (said.textContent !== text) said.textContent = text;
  };
  button.onclick = async () => {
    input.select();
    // Only secure pages may copy; and people may forbid it.
    const copied = await (navigator.clipboard?.writeText(input.value).then(() => true, () => false) ?? false);
    tell(copied ? "ear-copied" : "ear-copy-by-hand");
    if (!copied) input.focus();
  };
  return {
    show(link) {
      // What somebody has marked stays: they are about to copy it.
      if (input.value === link || document.activeElement === input) return;
      input.value = link;
      // What was copied is another by now.
      tell(null);
    },
    render() {
      input.setAttribute("aria-label", say(key));
      button.textContent = say("ear-copy");
      tell(outcome);
    },
  };
}
