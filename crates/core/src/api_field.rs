//! Names of fields in the providers' APIs, as far as they are looked at without parsing the rest.

use crate::skim::Step;

/// Declares the fields once: the variant and its name in JSON.
macro_rules! fields {
    ($($field:ident = $name:literal,)*) => {
        /// A field of a request or of an answer.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub(crate) enum ApiField {
            $($field,)*
            /// A field that names a session: position in [`crate::policy::sticky::Sticky::fields`].
            Session(u8),
        }

        impl ApiField {
            /// The field with this name.
            pub(crate) fn named(name: &[u8]) -> Option<Self> {
                match name {
                    $($name => Some(ApiField::$field),)*
                    _ => None,
                }
            }
        }
    };
}

fields! {
    Choices = b"choices",
    Message = b"message",
    Delta = b"delta",
    Content = b"content",
    Text = b"text",
    Refusal = b"refusal",
    ToolCalls = b"tool_calls",
    Function = b"function",
    FunctionCall = b"function_call",
    Arguments = b"arguments",
    Input = b"input",
    Index = b"index",
    FinishReason = b"finish_reason",
    StopReason = b"stop_reason",
    Type = b"type",
    Status = b"status",
    Error = b"error",
    IncompleteDetails = b"incomplete_details",
    Reason = b"reason",
    Output = b"output",
    Response = b"response",
    Item = b"item",
    Audio = b"audio",
    Data = b"data",
    Images = b"images",
    ContentBlock = b"content_block",
    PartialJson = b"partial_json",
    Object = b"object",
    Id = b"id",
    Conversation = b"conversation",
    Container = b"container",
    ContainerId = b"container_id",
    Thread = b"thread",
    EncryptedContent = b"encrypted_content",
    Signature = b"signature",
    ThoughtSignature = b"thought_signature",
    PreviousResponseId = b"previous_response_id",
    PreviousMessageId = b"previous_message_id",
    Messages = b"messages",
    FileId = b"file_id",
    FileIds = b"file_ids",
    VectorStoreIds = b"vector_store_ids",
    Parameters = b"parameters",
    InputSchema = b"input_schema",
    Schema = b"schema",
    Metadata = b"metadata",
    Properties = b"properties",
}

/// The way to a value in a request or an answer.
pub(crate) type Way<'w> = &'w [Step<ApiField>];

/// Whether a value lies in what a client or a model made up, such as a tool's schema or arguments:
/// fields in there only look like the provider's.
pub(crate) fn is_foreign(way: Way) -> bool {
    way.iter().enumerate().any(|(depth, step)| match step {
        Step::Field(
            ApiField::Parameters
            | ApiField::InputSchema
            | ApiField::Schema
            | ApiField::Metadata
            | ApiField::Properties
            | ApiField::Arguments,
        ) => true,
        // At the top it is the question.
        Step::Field(ApiField::Input) => depth > 0,
        _ => false,
    })
}
