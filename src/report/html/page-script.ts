/** The page's only script, as text: a head's button sorts its column, first down for numbers, then the other way. On paper everything is open. */
export const PAGE_SCRIPT = `
document.addEventListener("click", (event) => {
  const button = event.target.closest("th button");
  if (!button) return;
  const head = button.parentElement;
  const body = head.closest("table").tBodies[0];
  const column = head.cellIndex;
  const key = (row) => row.cells[column].dataset.sort ?? row.cells[column].textContent.trim();
  const rows = [...body.rows];
  const numeric = rows.every((row) => key(row) === "" || !Number.isNaN(Number(key(row))));
  const now = head.getAttribute("aria-sort");
  const down = now === null ? numeric : now === "ascending";
  const compare = (a, b) => {
    const [x, y] = [key(a), key(b)];
    if (x === "" || y === "") return (x === "") - (y === "");
    return (numeric ? x - y : x.localeCompare(y, "en", { numeric: true })) * (down ? -1 : 1);
  };
  for (const other of head.parentElement.cells) other.removeAttribute("aria-sort");
  head.setAttribute("aria-sort", down ? "descending" : "ascending");
  body.append(...rows.sort(compare));
});
addEventListener("beforeprint", () => {
  for (const closed of document.querySelectorAll("details:not([open])")) closed.open = true;
});
`;
