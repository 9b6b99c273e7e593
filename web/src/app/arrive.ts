/**
 * A heading that takes the focus when its panel comes instead of what was pressed: whoever uses a keyboard, or hears the page, is not
 * left nowhere. Not when the page is first shown, and never away from something that is in use.
 */
export function arrive(heading: HTMLElement): void {
  const lost = document.activeElement === document.body || document.activeElement === null;
  if (!lost || !(navigator.userActivation?.hasBeenActive ?? false)) return;
  heading.tabIndex = -1;
  heading.focus({ preventScroll: true });
}
