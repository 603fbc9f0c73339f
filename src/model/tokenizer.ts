/** Text ↔ token ids: what every tokenizer here can do. */

export interface EncodeOptions {
  /** Put the beginning-of-text token first. Default: what the file says. */
  readonly bos?: boolean;
  /** Read control tokens (`<|im_start|>`) that the text spells out. Default: they are text like any other. */
  readonly special?: boolean;
}

/** Text to tokens and back. */
export interface Tokenizer {
  readonly vocabulary: number;
  /** Whether the model wants the beginning-of-text token. */
  readonly addsBos: boolean;
  readonly bos: number | undefined;
  readonly eos: number | undefined;
  /** Token ids of a text. */
  encode(text: string, options?: EncodeOptions): Int32Array;
  /** The text of token ids. */
  decode(ids: ArrayLike<number>): string;
}
