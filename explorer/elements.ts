/** The page's elements by id. */
export function element<T extends HTMLElement>(id: string, kind: new () => T): T {
  const found = document.getElementById(id);
  if (!(found instanceof kind)) throw new Error(`the page has no ${kind.name} #${id}`);
  return found;
}

export const select = (id: string): HTMLSelectElement => element(id, HTMLSelectElement);
export const input = (id: string): HTMLInputElement => element(id, HTMLInputElement);
export const place = (id: string): HTMLElement => element(id, HTMLElement);

/** Options in place of those that were there; what was chosen stays where it still is. */
export function setOptions(
  list: HTMLSelectElement,
  options: readonly { readonly value: string; readonly text: string }[],
): void {
  const before = list.value;
  list.replaceChildren(...options.map(({ value, text }) => new Option(text, value)));
  if (options.some(({ value }) => value === before)) list.value = before;
}
