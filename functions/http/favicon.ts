const image =
  '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 32 32">' +
  '<rect width="32" height="32" rx="6" fill="#16324f"/>' +
  '<g fill="none" stroke="#fff" stroke-width="3"><circle cx="11" cy="16" r="5"/><path d="M16 16h11m-2 0v5m-5-5v4"/></g>' +
  '</svg>';

/**
 * The icon of every page, as an address that holds the image itself. Without an icon of their own, browsers request
 * `/favicon.ico`. A page that uses it needs `img-src data:` in its content security policy.
 */
export const faviconAddress = `data:image/svg+xml,${encodeURIComponent(image)}`;
