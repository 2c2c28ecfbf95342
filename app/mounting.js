// What of the page is Gradio's mounts after our scripts have run, or again: it is put right whenever it comes. Part of
// other scripts, and runs before them.

function asMounted(putRight) {
  let due = 0;
  const soon = () => { due ||= requestAnimationFrame(() => { due = 0; putRight(); }); };
  new MutationObserver(soon).observe(document.body, { childList: true, subtree: true });
  soon();
}
