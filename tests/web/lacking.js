// What a reader of screens needs and a page lacks: a name for everything that can be used, headings without gaps,
// tables with heads.
() => {
  const found = [];
  const say = (what, element) => found.push(`${what}: ${element.outerHTML.slice(0, 120)}`);
  const seen = (element) => element.checkVisibility();
  const named = (element) => (element.getAttribute('aria-label') || element.textContent || element.title || '').trim()
    || [...element.labels ?? []].some((label) => label.textContent.trim());
  for (const element of document.querySelectorAll('a[href], button, input:not([type=hidden]), select, textarea, summary'))
    if (seen(element) && !named(element)) say('no name', element);
  for (const element of document.querySelectorAll('svg')) {
    const isSaid = element.getAttribute('role') === 'img' && element.getAttribute('aria-label');
    if (seen(element) && !isSaid && !element.closest('[aria-hidden=true], [aria-label]')) say('a picture without words', element);
  }
  for (const head of document.querySelectorAll('th')) if (!head.textContent.trim() && !head.getAttribute('aria-label')) say('an empty head', head);
  const ids = [...document.querySelectorAll('[id]')].map((element) => element.id);
  for (const id of ids) if (ids.indexOf(id) !== ids.lastIndexOf(id)) found.push(`twice: #${id}`);
  const levels = [...document.querySelectorAll('h1, h2, h3')].map((element) => Number(element.tagName[1]));
  if (levels.filter((level) => level === 1).length !== 1) found.push(`headings of the first level: ${levels}`);
  levels.reduce((last, level) => { if (level > last + 1) found.push(`a level of headings is left out: ${levels}`); return level; }, 0);
  for (const element of document.querySelectorAll('[tabindex]')) if (element.tabIndex > 0) say('an order of its own', element);
  if (!document.documentElement.lang || !document.title) found.push('no language or title');
  if (document.querySelectorAll('main').length !== 1 || !document.querySelector('header')) found.push('no landmarks');
  return found;
}
