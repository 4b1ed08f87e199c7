// How pages are read. It is put into each page by the browser itself, so the Content-Security-Policy does not refuse it.
(() => {
  'use strict';
  const shown = (e) => e.checkVisibility({ visibilityProperty: true, opacityProperty: false }) && e.getClientRects().length > 0;
  const tidy = (s) => (s || '').replace(/\s+/g, ' ').trim();
  // What somebody hears of a control when it has the focus, as far as our pages say it.
  const name = (e) => tidy(e.getAttribute('aria-label') || e.innerText || e.value);
  const violations = [];
  document.addEventListener('securitypolicyviolation', (e) => violations.push(e.violatedDirective + ' ' + e.blockedURI + ' ' + e.sample));

  // What streams have brought to this page, and how it was kept from drawing.
  const tally = { batches: 0, records: 0, missed: 0, most: 0, frames: 0, long: 0, longest: 0 };
  globalThis.EventSource = class extends EventSource {
    constructor(...a) {
      super(...a);
      this.addEventListener('rows', (e) => {
        tally.batches++;
        tally.records += Number(/data-count="(\d+)"/.exec(e.data)[1]);
        tally.missed += Number(/data-missed="(\d+)"/.exec(e.data)[1]);
      });
    }
  };
  const frame = () => { tally.frames++; tally.most = Math.max(tally.most, document.querySelectorAll('#rows > tr').length); requestAnimationFrame(frame); };
  requestAnimationFrame(frame);
  new PerformanceObserver((l) => { for (const e of l.getEntries()) { tally.long++; tally.longest = Math.max(tally.longest, e.duration); } }).observe({ type: 'longtask' });

  const labelled = (label) => {
    for (const l of document.querySelectorAll('label, legend')) {
      const words = tidy(l.innerText).replace(/ \(required\)$/, '');
      if (words !== label || !shown(l)) continue;
      const c = l.control || (l.htmlFor && document.getElementById(l.htmlFor));
      if (c) return c;
    }
    for (const c of document.querySelectorAll('input, select, textarea, button')) if (c.getAttribute('aria-label') === label && shown(c)) return c;
    return null;
  };
  // Looks until something is there, or the time is over.
  const until = (milliseconds, look) => new Promise((done) => {
    const end = performance.now() + milliseconds;
    const again = () => { const found = look(); if (found || performance.now() >= end) done(found); else setTimeout(again, 20); };
    again();
  });
  globalThis.eyes = {
    becomes: (fact, milliseconds) => until(milliseconds, () => { try { return Boolean(fact()); } catch { return false; } }),
    violations,
    tally,
    labelled,
    name,
    count: (selector) => document.querySelectorAll(selector).length,
    shows: (selector, text) => [...document.querySelectorAll(selector)].some((e) => shown(e) && tidy(e.innerText).includes(tidy(text))),
    target: (selector, words) => {
      const all = [...document.querySelectorAll(selector)].filter(shown);
      return all.find((e) => name(e) === words) || all.find((e) => name(e).includes(words)) || null;
    },
    // Where to click an element: its middle, if a click there reaches it.
    point: async (find) => {
      let where, why;
      await until(2000, () => { try { where = eyes.middle(find()); } catch (e) { why = e; } return where; });
      if (!where) throw why;
      return where;
    },
    middle: (e) => {
      if (!e || !shown(e)) throw new Error('it is not there');
      if (e.disabled) throw new Error('it is disabled');
      e.scrollIntoView({ block: 'center', inline: 'center', behavior: 'instant' });
      const r = e.getClientRects()[0];
      const at = { X: r.x + r.width / 2, Y: r.y + r.height / 2 };
      const hit = document.elementFromPoint(at.X, at.Y);
      if (!hit || !(e.contains(hit) || hit.contains(e) || hit.closest('label')?.control === e)) throw new Error('covered by ' + (hit ? hit.outerHTML.slice(0, 200) : 'nothing'));
      // The page may move before the mouse gets there. What is pressed says so, to the page that comes after a click as well.
      sessionStorage.removeItem('pressed');
      document.addEventListener('mousedown', ({ target }) => {
        const hit = e.contains(target) || target.contains(e) || target.closest?.('label')?.control === e;
        sessionStorage.setItem('pressed', hit ? 'it' : 'another');
      }, { capture: true, once: true });
      return at;
    },
    focus: (label) => {
      const e = labelled(label);
      if (!e || e.disabled || !shown(e)) return false;
      e.focus();
      e.select?.();
      return document.activeElement === e;
    },
    holds: (label, text) => { const e = labelled(label); return e !== null && e.value === text; },
    choose: (label, option) => {
      const e = labelled(label);
      const o = e && [...e.options].find((x) => tidy(x.text) === option);
      if (!o) return false;
      if (e.value !== o.value) {
        e.focus();
        e.value = o.value;
        e.dispatchEvent(new Event('input', { bubbles: true }));
        e.dispatchEvent(new Event('change', { bubbles: true }));
      }
      return e.value === o.value;
    },
    // In which fonts the cells of a table name their columns, where rows are cards, if that is more than one.
    fonts: () => [...document.querySelectorAll('table.stack')].map((t) => [...new Set([...t.querySelectorAll('[data-label]')].filter(shown)
      .map((c) => getComputedStyle(c, '::before')).filter((s) => s.content !== 'none').map((s) => s.fontFamily + ' ' + s.fontSize))]).filter((f) => f.length > 1).map((f) => f.join(' and ')),
    // What holds on no page, whatever events and receivers say.
    breaches: () => {
      const out = violations.map((v) => 'Content-Security-Policy: ' + v);
      if (globalThis.executed !== undefined) out.push('a hostile script was executed: ' + globalThis.executed);
      for (const s of document.scripts) if (!s.src.startsWith(location.origin + '/assets/')) out.push('a script that is none of ours: ' + s.outerHTML.slice(0, 200));
      for (const e of document.querySelectorAll('[href], [src], [action], [formaction], [srcdoc]')) {
        for (const a of ['href', 'src', 'action', 'formaction']) {
          const v = e.getAttribute(a);
          if (v !== null && !/^(\/(?!\/)|#|\?|$)/.test(v)) out.push(a + ' leads elsewhere: ' + v.slice(0, 200));
        }
        if (e.hasAttribute('srcdoc')) out.push('a frame: ' + e.outerHTML.slice(0, 200));
      }
      for (const e of document.querySelectorAll('*')) for (const a of e.attributes) {
        if (/^on/i.test(a.name)) out.push('a handler: ' + e.outerHTML.slice(0, 200));
      }
      for (const e of document.querySelectorAll('main :is(img, iframe, object, embed, video, audio, base, meta, link, style)')) out.push('an element that is none of ours: ' + e.outerHTML.slice(0, 200));
      return out;
    },
  };
})();
