// Search, and the switch between light and dark. The index is loaded at the first search.
const root = document.currentScript?.dataset.root ?? document.querySelector("script[data-root]").dataset.root;
const page = document.documentElement;

// Light and dark

const button = document.getElementById("theme");
const isDark = () =>
  (page.dataset.theme || (matchMedia("(prefers-color-scheme: dark)").matches ? "dark" : "light")) === "dark";
const remembered = (() => {
  try {
    return localStorage.getItem("theme");
  } catch {
    return null; // a browser may keep nothing for files
  }
})();
if (remembered === "dark" || remembered === "light") page.dataset.theme = remembered;
const name = () => (button.textContent = isDark() ? "Light" : "Dark");
button.hidden = false;
name();
button.onclick = () => {
  page.dataset.theme = isDark() ? "light" : "dark";
  try {
    localStorage.setItem("theme", page.dataset.theme);
  } catch {}
  name();
};

// On a narrow screen the menu begins closed, so that the lesson comes first

if (matchMedia("(max-width: 60rem)").matches) document.querySelector(".menu").open = false;

// Search

const query = document.getElementById("query");
const found = document.getElementById("found");
let loading = null;

function index() {
  loading ??= new Promise((done, failed) => {
    const script = document.createElement("script");
    script.src = `${root}search-index.js`;
    script.onload = () => done(window.searchIndex);
    script.onerror = failed;
    document.head.append(script);
  });
  return loading;
}

const plain = (text) => text.toLowerCase().normalize("NFKD").replace(/\p{M}/gu, "");

function score(entry, words) {
  let sum = 0;
  for (const word of words) {
    const inHeading = plain(entry.heading || entry.page).includes(word);
    const inTitle = plain(entry.page).includes(word);
    const times = plain(entry.text).split(word).length - 1;
    if (!inHeading && !inTitle && !times) return 0;
    sum += 8 * inHeading + 3 * inTitle + Math.min(times, 5);
  }
  return sum;
}

function excerpt(text, word) {
  const at = Math.max(0, plain(text).indexOf(word) - 50);
  return (at ? "… " : "") + text.slice(at, at + 130) + (at + 130 < text.length ? " …" : "");
}

async function search() {
  const words = plain(query.value).split(/\s+/).filter(Boolean);
  found.hidden = !words.length;
  if (!words.length) return found.replaceChildren();
  let entries;
  try {
    entries = await index();
  } catch {
    return found.replaceChildren("The list for the search is missing.");
  }
  const best = entries
    .map((entry) => [score(entry, words), entry])
    .filter(([points]) => points)
    .sort((a, b) => b[0] - a[0]);
  const list = document.createElement("ul");
  for (const [, entry] of best.slice(0, 15)) {
    const link = document.createElement("a");
    link.href = root + entry.at;
    link.textContent = entry.heading && entry.heading !== entry.page ? `${entry.page}: ${entry.heading}` : entry.page;
    const words_ = document.createElement("small");
    words_.textContent = excerpt(entry.text, words[0]);
    const item = document.createElement("li");
    item.append(link, words_);
    list.append(item);
  }
  const count = document.createElement("p");
  count.textContent = best.length ? `${best.length} places` : "Nothing was found.";
  found.replaceChildren(count, list);
}

query.addEventListener("input", search);
query.addEventListener("focus", () => index().catch(() => {}));
document.addEventListener("keydown", (event) => {
  if (event.key === "Escape") found.hidden = true;
});
document.addEventListener("click", (event) => {
  if (!event.target.closest("search")) found.hidden = true;
});
